package projector_test

import (
	"context"
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
		for range 20 {
			f.writer.random(r, 10, 9)
			rest(300 * time.Millisecond)
		}
		last := f.writer.add("c-1", 1)
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
