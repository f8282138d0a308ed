package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// trio is three groups that share the workers of views, as nodes do: who has which
// duty is said here.
type trio struct {
	t        *testing.T
	duties   []string
	start    func(i int) (*projector.Group, *projector.Assignment)
	groups   [3]*projector.Group
	assigned [3]*projector.Assignment
	stops    [3]func()
	who      map[string]int
}

// newTrio starts three groups, and gives the duties out in turn.
func newTrio(t *testing.T, f *fixture, registry projector.Registry, config func(i int) projector.Config, views ...projector.Definition) *trio {
	t.Helper()
	x := &trio{t: t, duties: projector.Duties(true, views...), who: map[string]int{}}
	x.start = func(i int) (*projector.Group, *projector.Assignment) {
		cfg := config(i)
		cfg.Registry, cfg.Spread = registry, true
		if cfg.Projections == nil {
			cfg.Projections = views
		}
		return f.assigned(t, cfg)
	}
	for i := range x.groups {
		x.groups[i], x.assigned[i] = x.start(i)
		x.stops[i] = running(t, x.groups[i])
	}
	for i, duty := range x.duties {
		x.give(duty, i%3)
	}
	return x
}

func plainly(int) projector.Config { return projector.Config{} }

// give has one of the groups do a duty that nobody does.
func (x *trio) give(duty string, to int) {
	x.who[duty] = to
	x.assigned[to].Assign(duty)
}

// move hands a duty over, with or without waiting for the end.
func (x *trio) move(duty string, to int, waits bool) {
	from := x.who[duty]
	x.assigned[from].Withdraw(duty)
	if waits {
		stopped(x.t, x.groups[from], duty)
	}
	x.give(duty, to)
}

// restart ends one of the groups, and has the others do what it did.
func (x *trio) restart(i int) {
	for _, duty := range x.duties {
		if x.who[duty] == i {
			x.move(duty, (i+1)%3, false)
		}
	}
	x.stops[i]()
	x.groups[i], x.assigned[i] = x.start(i)
	x.stops[i] = running(x.t, x.groups[i])
}

func (x *trio) home(view string) *projector.Group { return x.groups[x.who[view]] }

// route asks the view's home, and whoever that names, as a gateway does.
func (x *trio) route(ctx context.Context, view string, ask func(g *projector.Group) error) error {
	for duty := view; ; {
		err := ask(x.groups[x.who[duty]])
		var elsewhere *projector.ElsewhereError
		switch {
		case !errors.Is(err, projector.ErrElsewhere) || errors.Is(err, store.ErrUnknown) || ctx.Err() != nil:
			return err
		case errors.As(err, &elsewhere):
			duty = elsewhere.Duty
		default:
			duty = view
		}
		rest(10 * time.Millisecond)
	}
}

func (x *trio) DeadLetters(ctx context.Context, view string) ([]projector.DeadLetter, error) {
	return x.home(view).DeadLetters(ctx, view)
}

func (x *trio) Retry(ctx context.Context, view, id string) (l projector.DeadLetter, err error) {
	err = x.route(ctx, view, func(g *projector.Group) (err error) { l, err = g.Retry(ctx, view, id); return err })
	return l, err
}

func (x *trio) Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error {
	return x.route(ctx, view, func(g *projector.Group) error { return g.Edit(ctx, view, id, at, data, by) })
}

func (x *trio) Skip(ctx context.Context, view, id string, at uint64, reason, by string) (l projector.DeadLetter, err error) {
	err = x.route(ctx, view, func(g *projector.Group) (err error) { l, err = g.Skip(ctx, view, id, at, reason, by); return err })
	return l, err
}

func threeTotals() projector.Documents[event, total] {
	view := totals("totals")
	view.Workers = 3
	return view
}

func TestDuties(t *testing.T) {
	t.Parallel()
	second := threeTotals()
	second.Version, second.Workers = 2, 2
	other := totals("other")
	want := []string{"other", "totals", "totals.v1.1", "totals.v1.2", "totals.v2.1"}
	if diff := cmp.Diff(want, projector.Duties(true, threeTotals(), second, other)); diff != "" {
		t.Errorf("spread (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"other", "totals"}, projector.Duties(false, threeTotals(), second, other)); diff != "" {
		t.Errorf("together (-want +got):\n%s", diff)
	}
	longest := projector.Duty(strings.Repeat("v", 40), 9999, 63)
	if len(longest) > 64 {
		t.Errorf("%s has %d bytes", longest, len(longest))
	}
}

// local is a store that each machine has of its own.
type local struct{ *projector.Memory }

func (local) Shared() bool { return false }

func TestWhatIsNotSharedIsNotSpread(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cfg := projector.Config{Log: f.log, Store: local{f.memory}, Projections: []projector.Definition{threeTotals()}, Spread: true}
	if _, err := projector.NewGroup(cfg); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "shared") {
		t.Errorf("spread: %v", err)
	}
	cfg.Spread = false
	g := newGroup(t, cfg)
	running(t, g)
	f.writer.random(rand.New(rand.NewPCG(1, 1)), 100, 10)
	agrees(t, f, g, threeTotals())
}

// The workers of a view run in three groups. The first worker's answers reads, and
// nothing is claimed that a worker elsewhere has not stored.
func TestWorkersAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, view := newFixture(t), threeTotals()
		x := newTrio(t, f, &projector.MemoryRegistry{}, plainly, view)
		r := rand.New(rand.NewPCG(1, 2))
		f.writer.random(r, 500, 30)
		agrees(t, f, x.home("totals"), view)
		for i := 1; i < 3; i++ {
			wantElsewhere(t, x.groups[i], "totals")
		}
		for i := range 50 {
			id := fmt.Sprintf("mine-%d", i)
			began := time.Now()
			d, err := x.home("totals").Get(soon(t), "totals", id, f.writer.add(id, 1))
			if err != nil || decoded(t, d).Count != 1 {
				t.Fatalf("%s: %s, %v", id, d.Document, err)
			}
			if took := time.Since(began); took > 100*time.Millisecond {
				t.Errorf("%s was there after %v", id, took)
			}
		}
		var shares []projector.Share
		for i := range 3 {
			shares = append(shares, projector.Share{Model: "totals_v1", Worker: i, State: projector.StateLive})
		}
		rest(10 * time.Second)
		if diff := cmp.Diff(shares, statusOf(t, x.home("totals"), "totals").Shares); diff != "" {
			t.Errorf("shares (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(shares[1:2], statusOf(t, x.groups[x.who["totals.v1.1"]], "totals").Shares); diff != "" {
			t.Errorf("shares where one is (-want +got):\n%s", diff)
		}
		for _, duty := range []string{"totals.v1.1", "totals.v1.2"} {
			x.assigned[x.who[duty]].Withdraw(duty)
			stopped(t, x.groups[x.who[duty]], duty)
			last := f.writer.random(r, 20, 30)
			ctx, cancel := withTimeout(t, 3*time.Second)
			if err := x.home("totals").Wait(ctx, "totals", f.writer.add("a", 1)); !errors.Is(err, projector.ErrTimeout) {
				t.Errorf("without %s: %v", duty, err)
			}
			cancel()
			if s := statusOf(t, x.home("totals"), "totals"); s.Checkpoint > last || s.LagEvents == 0 {
				t.Errorf("without %s: %+v", duty, s)
			}
			x.give(duty, (x.who[duty]+1)%3)
			agrees(t, f, x.home("totals"), view)
		}
	})
}

// Duties move among the groups at random, groups end and begin, the store and the log
// fail: in the end the documents are what a plain fold gives.
func TestSpreadFailOver(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f, view := newFixture(t), threeTotals()
		var repaired atomic.Bool
		luck := newDice(r)
		failing := &faults{memory: f.memory, dice: luck, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if repaired.Load() || luck.IntN(6) > 0 {
				return none
			}
			return fault(1 + luck.IntN(3))
		}}
		log := &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(12) == 0 }}
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config {
			cfg := randomConfig(r)
			cfg.Log, cfg.Store = log, failing
			return cfg
		}, view)
		for range 40 {
			if r.IntN(8) == 0 {
				x.restart(r.IntN(3))
			} else {
				x.move(x.duties[r.IntN(len(x.duties))], r.IntN(3), r.IntN(2) == 0)
			}
			f.writer.random(r, r.IntN(20), 8)
			rest(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		repaired.Store(true)
		agrees(t, f, x.home("totals"), view)
	})
}

// The drama of the dead letters, of each kind, with workers in three groups, duties
// that move, and operators who ask the home.
func TestSpreadWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"documents", "tables", "reaction"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			eachSeed(t, func(t *testing.T, r *rand.Rand) { spreadDrama(t, r, kind) })
		})
	}
}

func spreadDrama(t *testing.T, r *rand.Rand, kind string) {
	f := newFixture(t)
	d := &drama{f: f, r: r, ward: &ward{ill: map[place]bool{}}}
	var repaired atomic.Bool
	luck := newDice(r)
	kept := newTableStore()
	kept.faults = &faults{onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		if repaired.Load() || luck.IntN(10) > 0 {
			return none
		}
		return fault(1 + luck.IntN(3))
	}}
	reacted := &reactions{seen: map[store.StreamID][]uint64{}}
	histories := histories(d.ward.is, 3)
	def := map[string]projector.Definition{
		"documents": histories, "tables": rowsOf(kept, 3, d.ward.is), "reaction": reacted.definition(3, d.ward.is),
	}[kind]
	view := def.Describe().Name
	x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config {
		cfg := randomConfig(r)
		cfg.Store, cfg.Attempts = kept, 1+r.IntN(3)
		cfg.Log = &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(40) == 0 }}
		return cfg
	}, def)
	for range 25 {
		d.append(r.IntN(8))
		rest(time.Duration(r.IntN(2000)) * time.Millisecond)
		switch r.IntN(7) {
		case 0:
			d.ward.heal(func() bool { return r.IntN(2) == 0 })
		case 1:
			x.restart(r.IntN(3))
		case 2:
			x.move(x.duties[r.IntN(3)], r.IntN(3), r.IntN(2) == 0)
		case 3:
			pauseForAWhile(t, x, view)
		default:
			d.operate(t, x, view)
		}
	}
	repaired.Store(true)
	d.ward.heal(func() bool { return true })
	_, last := plainRows(t, f, nil)
	if err := x.home(view).Wait(soon(t), view, last); err != nil {
		t.Fatal(err)
	}
	d.clear(t, x, view)
	skipped, err := x.home(view).Skipped(soon(t), view)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "documents":
		rest(5 * time.Second)
		agreesWithHistories(t, f, x.home(view), histories)
	case "tables":
		want, _ := plainRows(t, f, skipped)
		if diff := cmp.Diff(want, kept.committed()); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	case "reaction":
		reacted.check(t, f, skipped)
	}
}

// pauseForAWhile pauses the view: nothing is written until it goes on.
func pauseForAWhile(t *testing.T, x *trio, view string) {
	t.Helper()
	ctx, cancel := withTimeout(t, 20*time.Second)
	defer cancel()
	g := x.home(view)
	if err := g.Pause(ctx, view); err != nil {
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) && !errors.Is(err, projector.ErrTimeout) {
			t.Errorf("pause: %v", err)
		}
	} else {
		before := positionsOf(t, g, view)
		rest(5 * time.Second)
		if diff := cmp.Diff(before, positionsOf(t, g, view)); diff != "" {
			t.Errorf("a paused view was written to (-before +after):\n%s", diff)
		}
	}
	if err := g.Resume(soon(t), view); err != nil {
		t.Errorf("resume: %v", err)
	}
}

// positionsOf are the positions of the workers, as they are stored.
func positionsOf(t *testing.T, g *projector.Group, view string) (all []store.Position) {
	t.Helper()
	for range 100 {
		v, err := g.Verify(soon(t), view, false)
		if errors.Is(err, store.ErrUnavailable) {
			continue // the log fails now and then
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range v.Workers {
			all = append(all, store.Position(w.Stored.Events))
		}
		return all
	}
	t.Fatal("the view cannot be verified")
	return nil
}

// deafRegistry tells nobody any more what changes, once it is deaf.
type deafRegistry struct {
	projector.MemoryRegistry
	deaf atomic.Bool
}

func (r *deafRegistry) Watch(ctx context.Context, changed func(string, projector.Entry, uint64)) error {
	return r.MemoryRegistry.Watch(ctx, func(view string, e projector.Entry, revision uint64) {
		if !r.deaf.Load() {
			changed(view, e, revision)
		}
	})
}

// A worker in another group hangs in a write while the view is paused, and its group
// does not hear of that. After the pause the write is refused, and nothing is written
// until the view goes on.
func TestPauseStopsWhoDoesNotHear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, view := newFixture(t), threeTotals()
		registry := &deafRegistry{}
		z := newZombie()
		x := newTrio(t, f, registry, func(i int) projector.Config {
			if i == 1 {
				return projector.Config{Store: z.on(f.memory), CommitTimeout: time.Hour}
			}
			return projector.Config{}
		}, view)
		rest(time.Second)
		registry.deaf.Store(true)
		f.writer.random(rand.New(rand.NewPCG(1, 1)), 50, 20)
		<-z.hanging
		rest(time.Second)
		g := x.home("totals")
		if err := g.Pause(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		before := positionsOf(t, g, "totals")
		if !slices.Contains(before, 0) {
			t.Fatalf("the worker that hangs has written: %v", before)
		}
		close(z.released)
		f.writer.random(rand.New(rand.NewPCG(1, 2)), 50, 20)
		rest(time.Minute)
		if diff := cmp.Diff(before, positionsOf(t, g, "totals")); diff != "" || z.fenced.Load() != 1 {
			t.Errorf("a paused view was written to (-before +after):\n%s\nand %d writes were refused", diff, z.fenced.Load())
		}
		registry.deaf.Store(false)
		if err := g.Resume(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		agrees(t, f, g, view)
	})
}

// A stream that is parked by a worker elsewhere is listed at the home, which names
// whoever can release it.
func TestLettersOfWorkersElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, sick := newFixture(t), &ward{ill: map[place]bool{}}
		view := histories(sick.is, 3)
		x := newTrio(t, f, &projector.MemoryRegistry{}, plainly, view)
		g, stream := x.home(view.Name), store.StreamID{Type: "counter", ID: "c-1"}
		f.writer.append(stream, added{N: 1})
		sick.admit(place{stream, 2})
		f.writer.append(stream, added{N: 2})
		last := f.writer.append(stream, added{N: 3})
		if err := g.Wait(soon(t), view.Name, last); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), view.Name)
		if err != nil || len(letters) == 0 {
			t.Fatalf("letters: %+v, %v", letters, err)
		}
		sick.heal(func() bool { return true })
		elsewhere := 0
		for _, l := range letters {
			if l.Queued != 1 {
				t.Errorf("%s has %d events waiting, want 1", l.ID, l.Queued)
			}
			if events, err := g.LetterEvents(soon(t), view.Name, l.ID, 0); err != nil || len(events) != 2 {
				t.Errorf("events of %s: %+v, %v", l.ID, events, err)
			}
			var named *projector.ElsewhereError
			if _, err := g.Retry(soon(t), view.Name, l.ID); errors.As(err, &named) {
				elsewhere++
				if want := "histories.v1." + l.Worker; named.Duty != want {
					t.Errorf("%s is said to be with %s, want %s", l.ID, named.Duty, want)
				}
				if _, err := x.groups[x.who[named.Duty]].Retry(soon(t), view.Name, l.ID); err != nil {
					t.Errorf("retry where it is: %v", err)
				}
			} else if err != nil {
				t.Errorf("retry: %v", err)
			}
		}
		if elsewhere == 0 {
			t.Error("no letter was elsewhere: this shows nothing")
		}
		agreesWithHistories(t, f, g, view)
	})
}

// An SQL view whose workers are elsewhere is rewound while they work.
func TestSpreadRewind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		kept := newTableStore()
		view := rowsOf(kept, 3, func(store.Recorded[event]) bool { return false })
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config { return projector.Config{Store: kept} }, view)
		r := rand.New(rand.NewPCG(3, 3))
		to := f.writer.random(r, 50, 10)
		once := map[string]int{}
		for e := range recorded(t, f.log, "counter") {
			once[e.Stream.ID]++
		}
		last := f.writer.random(r, 50, 10)
		g := x.home("rows")
		if err := g.Wait(soon(t), "rows", last); err != nil {
			t.Fatal(err)
		}
		if err := g.Rewind(soon(t), "rows", to); err != nil {
			t.Fatal(err)
		}
		last = f.writer.add("c-1", 1)
		if err := g.Wait(soon(t), "rows", last); err != nil {
			t.Fatal(err)
		}
		all := map[string]int{}
		for e := range recorded(t, f.log, "counter") {
			all[e.Stream.ID]++
		}
		for id, rows := range kept.committed() {
			want := 2*all[id] - once[id] // what came after the position was applied twice
			if id == "c-1" {
				want-- // but for the last
			}
			if len(rows) != want {
				t.Errorf("%s has %d rows, want %d", id, len(rows), want)
			}
		}
		if v, err := g.Verify(soon(t), "rows", false); err != nil || !v.Workers[0].Equal || !v.Workers[1].Equal || !v.Workers[2].Equal {
			t.Errorf("verification: %+v, %v", v, err)
		}
	})
}

// Who watches at the home sees what workers elsewhere write.
func TestSpreadWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, view := newFixture(t), threeTotals()
		x := newTrio(t, f, &projector.MemoryRegistry{}, plainly, view)
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		seen := make(chan projector.Document, 10_000)
		go func() {
			defer close(seen)
			for d, err := range x.home("totals").Watch(ctx, "totals", projector.Watch{Prefix: "c-", Progress: true}) {
				if err != nil {
					return
				}
				seen <- d
			}
		}()
		r := rand.New(rand.NewPCG(5, 5))
		var last store.Position
		for range 20 {
			last = f.writer.random(r, 10, 9)
			rest(300 * time.Millisecond)
		}
		last = f.writer.add("c-1", 1)
		want, _, _ := expected(t, f.log, view)
		delete(want, "all of them")
		rest(5 * time.Second)
		cancel()
		got, at, through := map[string]total{}, map[string]store.Position{}, store.Position(0)
		for d := range seen {
			if d.Key == "" {
				through = d.Position
				continue
			}
			if d.Position < at[d.Key] {
				t.Errorf("%s went back from %d to %d", d.Key, at[d.Key], d.Position)
			}
			got[d.Key], at[d.Key] = decoded(t, d), d.Position
		}
		if diff := cmp.Diff(want, got); diff != "" || through != last {
			t.Errorf("seen up to %d of %d (-want +got):\n%s", through, last, diff)
		}
	})
}

// While two builds run side by side, workers of each version run where that is known,
// and the newer one is served when the home has it.
func TestSpreadRollingUpgrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, first, second := newFixture(t), threeTotals(), version(2, nil)
		second.Workers = 2
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(i int) projector.Config {
			if i == 2 {
				return projector.Config{Projections: []projector.Definition{second}}
			}
			return projector.Config{Projections: []projector.Definition{first}}
		}, first, second)
		for duty, to := range map[string]int{"totals.v1.1": 1, "totals.v1.2": 0, "totals.v2.1": 2} {
			x.move(duty, to, false)
		}
		r := rand.New(rand.NewPCG(7, 7))
		f.writer.random(r, 100, 10)
		agrees(t, f, x.home("totals"), first)
		x.move("totals", 2, true)
		rest(10 * time.Second)
		f.writer.random(r, 100, 10)
		agrees(t, f, x.home("totals"), second)
		if s := statusOf(t, x.home("totals"), "totals"); s.Version != 2 || s.Role != projector.RoleLive {
			t.Errorf("served: %+v", s)
		}
	})
}
