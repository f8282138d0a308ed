package projector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// process is a group that can be cut off, as a crash cuts it off: nothing that
// it does any more has an effect.
type process struct {
	group    *projector.Group
	assigned *projector.Assignment
	stop     func()
	dead     atomic.Bool
}

var errDead = fmt.Errorf("%w: the process is dead", store.ErrUnavailable)

// deadStore and deadRegistry are the store and the registry as a process has
// them. The registry is away now and then, and may not say what became of a write.
type deadStore struct {
	projector.Store
	p    *process
	luck *dice
}

type deadView struct {
	projector.View
	p    *process
	luck *dice
}

func (s deadStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	if s.p.dead.Load() {
		return nil, errDead
	}
	v, err := s.Store.Open(ctx, layout)
	return deadView{v, s.p, s.luck}, err
}

func (s deadStore) Drop(ctx context.Context, m projector.Model) error {
	if s.p.dead.Load() {
		return errDead
	}
	return s.Store.Drop(ctx, m)
}

// Get takes its time before and after, so that a switch falls between.
func (v deadView) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	rest(time.Duration(v.luck.IntN(20)) * time.Millisecond)
	docs, err := v.View.Get(ctx, keys, since...)
	rest(time.Duration(v.luck.IntN(20)) * time.Millisecond)
	return docs, err
}

func (v deadView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if v.p.dead.Load() {
		return projector.Checkpoint{}, errDead
	}
	return v.View.Commit(ctx, w)
}

type deadRegistry struct {
	projector.Registry
	p    *process
	luck *dice
	calm *atomic.Bool
}

func (r deadRegistry) Load(ctx context.Context, view string) (projector.Entry, uint64, error) {
	if r.p.dead.Load() || !r.calm.Load() && r.luck.IntN(20) == 0 {
		return projector.Entry{}, 0, errDead
	}
	return r.Registry.Load(ctx, view)
}

func (r deadRegistry) Store(ctx context.Context, view string, e projector.Entry, revision uint64) (uint64, error) {
	if r.p.dead.Load() {
		return 0, errDead
	}
	if r.calm.Load() {
		return r.Registry.Store(ctx, view, e, revision)
	}
	switch r.luck.IntN(10) {
	case 0:
		return 0, fmt.Errorf("%w: lost", store.ErrUnknown)
	case 1:
		if _, err := r.Registry.Store(ctx, view, e, revision); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: unheard", store.ErrUnknown)
	}
	return r.Registry.Store(ctx, view, e, revision)
}

func (r deadRegistry) Watch(ctx context.Context, changed func(string, projector.Entry, uint64)) error {
	if !r.calm.Load() && r.luck.IntN(3) == 0 {
		return errDead
	}
	return r.Registry.Watch(ctx, func(view string, e projector.Entry, revision uint64) {
		rest(time.Duration(r.luck.IntN(100)) * time.Millisecond) // news are late
		changed(view, e, revision)
	})
}

// upheaval is two processes on one store and registry, and those who use them.
type upheaval struct {
	*site
	r     *rand.Rand
	reads atomic.Int64
	luck  *dice
	calm  atomic.Bool
	views []projector.Definition

	spread bool
	duties []string // of the view; the first is the view's name

	mu        sync.Mutex
	processes [2]*process
	here      map[string]int // whose each duty is
}

func (u *upheaval) start(t *testing.T) *process {
	p := &process{}
	cfg := randomConfig(u.r)
	cfg.BatchCommits += 100 // else an attempt at a log that fails so often never comes to a write
	cfg.Log = &flakyLog{Log: u.log, fails: func() bool { return !u.calm.Load() && u.luck.IntN(30) == 0 }}
	cfg.Store, cfg.Registry = deadStore{u.shelf, p, u.luck}, deadRegistry{u.registry, p, u.luck, &u.calm}
	cfg.Projections, cfg.Spread = u.views, u.spread
	p.group, p.assigned = u.assigned(t, cfg)
	p.stop = running(t, p.group)
	return p
}

func (u *upheaval) owner() *projector.Group {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.processes[u.here["totals"]].group
}

// move hands a duty over, with or without waiting for the end.
func (u *upheaval) move(t *testing.T) {
	duty := u.duties[u.r.IntN(len(u.duties))]
	u.mu.Lock()
	from, to := u.processes[u.here[duty]], u.processes[1-u.here[duty]]
	u.mu.Unlock()
	from.assigned.Withdraw(duty)
	if u.r.IntN(2) == 0 {
		stopped(t, from.group, duty)
	}
	to.assigned.Assign(duty)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.here[duty] = 1 - u.here[duty]
}

// crash cuts one of the two off that has something, has the other take over, and
// starts a new one.
func (u *upheaval) crash(t *testing.T) {
	u.mu.Lock()
	at := u.here[u.duties[u.r.IntN(len(u.duties))]]
	victim, heir := u.processes[at], u.processes[1-at]
	u.mu.Unlock()
	victim.dead.Store(true)
	for _, duty := range u.duties {
		u.mu.Lock()
		lost := u.here[duty] == at
		u.mu.Unlock()
		if !lost {
			continue
		}
		victim.assigned.Withdraw(duty)
		heir.assigned.Assign(duty)
		u.mu.Lock()
		u.here[duty] = 1 - at
		u.mu.Unlock()
	}
	victim.stop()
	fresh := u.start(t)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.processes[at] = fresh
}

// ask repeats a question until whoever the view belongs to answers it, as a
// gateway does.
func (u *upheaval) ask(ask func(g *projector.Group) error) error {
	for {
		err := ask(u.owner())
		if !errors.Is(err, projector.ErrElsewhere) && !errors.Is(err, projector.ErrStopped) {
			return err
		}
		rest(time.Millisecond)
	}
}

// use writes to a stream of its own, and reads what it wrote; and it reads
// without a position, and never sees less than it has seen.
func (u *upheaval) use(t *testing.T, id string, luck *dice, over <-chan struct{}) {
	var seen int
	for wrote := 0; ; {
		select {
		case <-over:
			return
		default:
		}
		rest(time.Duration(1+luck.IntN(30)) * time.Millisecond)
		var min store.Position
		least := seen
		if luck.IntN(2) == 0 {
			min = u.writer.add(id, 1)
			wrote++
			least = wrote
		}
		var d projector.Document
		err := u.ask(func(g *projector.Group) (err error) {
			d, err = g.Get(soon(t), "totals", id, min)
			return err
		})
		switch {
		case errors.Is(err, store.ErrNotFound) && least == 0:
			continue
		case err != nil:
			t.Errorf("reader %s: %v; the models are %+v", id, err, u.owner().Status(soon(t)))
			return
		}
		got := decoded(t, d).Count
		if got < least || got > wrote {
			t.Errorf("reader %s: count is %d, want %d to %d", id, got, least, wrote)
			return
		}
		seen = got
		u.reads.Add(1)
	}
}

// operate does something to the view, whatever it is good for.
func (u *upheaval) operate(t *testing.T) {
	g, ctx := u.owner(), soon(t)
	var err error
	switch u.r.IntN(8) {
	case 0, 1, 2:
		_, err = g.Rebuild(ctx, "totals", projector.Rebuild{
			Online: true, Version: 1 + u.r.IntN(2), Parity: []int{0, -1, 5}[u.r.IntN(3)], Switch: u.r.IntN(3) > 0,
		})
	case 3:
		_, err = g.Rebuild(ctx, "totals", projector.Rebuild{Version: u.r.IntN(3)})
	case 4:
		err = g.Promote(ctx, "totals", u.r.IntN(3) == 0)
	case 5:
		err = g.Rollback(ctx, "totals")
	case 6:
		err = g.Cancel(ctx, "totals")
	case 7:
		err = g.Retire(ctx, "totals")
	}
	var parity *projector.ParityError
	if errors.As(err, &parity) {
		if p := parity.Parity; p != nil && p.Differences > 0 {
			t.Errorf("parity: %+v", p)
		}
		return
	}
	for _, expected := range []error{
		projector.ErrCandidate, projector.ErrNoCandidate, projector.ErrNoPrevious, projector.ErrRebuilding, store.ErrUnavailable, projector.ErrStopped,
	} {
		if errors.Is(err, expected) {
			return
		}
	}
	if err != nil {
		t.Errorf("operation: %v", err)
	}
}

// While the view is rebuilt, switched, rolled back, given up, handed over and
// crashed at random, every read is answered, none by less than its reader knows
// of. In the end the documents are what a plain fold gives, and the store has the
// models that the registry names, and no other.
func TestUpheaval(t *testing.T) {
	t.Parallel()
	for name, spread := range map[string]bool{"together": false, "spread": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testUpheaval(t, spread)
		})
	}
}

func testUpheaval(t *testing.T, spread bool) {
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		first := totals("totals")
		first.Workers = 1 + r.IntN(3)
		second := version(2, nil)
		second.Workers = 1 + r.IntN(2)
		u := &upheaval{site: newSite(t), r: r, luck: newDice(r), views: []projector.Definition{first, second}, spread: spread, here: map[string]int{}}
		u.duties = projector.Duties(spread, u.views...)
		u.writer.random(r, 100, 10)
		u.processes = [2]*process{u.start(t), u.start(t)}
		for _, duty := range u.duties {
			u.here[duty] = 0
			if duty != "totals" {
				u.here[duty] = r.IntN(2)
			}
			u.processes[u.here[duty]].assigned.Assign(duty)
		}
		over := make(chan struct{})
		var using sync.WaitGroup
		for i := range 4 {
			luck := newDice(r)
			using.Go(func() { u.use(t, fmt.Sprintf("reader-%d", i), luck, over) })
		}
		for range 60 {
			switch r.IntN(10) {
			case 0:
				u.crash(t)
			case 1, 2:
				u.move(t)
			default:
				u.operate(t)
			}
			rest(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		close(over)
		using.Wait()
		u.calm.Store(true)
		u.quiet(t)
		g := u.owner()
		docs, _, last := expected(t, u.log, first)
		if diff := cmp.Diff(docs, everything(t, g, "totals", last)); diff != "" {
			t.Errorf("documents (-want +got):\n%s", diff)
		}
		if v, err := g.Verify(soon(t), "totals", true); err != nil || !v.Workers[0].Equal || v.Documents.Differences > 0 {
			t.Errorf("verification: %+v, %v", v, err)
		}
		e, _, err := u.registry.Load(t.Context(), "totals")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{e.Live.String()}
		if e.Previous != nil {
			want = append(want, e.Previous.String())
		}
		slices.Sort(want)
		t.Logf("%d reads, the highest builds are %v, %d entries were stored", u.reads.Load(), e.Builds, stored(t, u.registry))
		if diff := cmp.Diff(want, u.shelf.names()); diff != "" || len(e.Dropping) > 0 || e.Candidate != nil || e.Settling {
			t.Errorf("models in the store (-want +got):\n%s\nand the registry says %+v", diff, e)
		}
	})
}

// stored is how many entries the registry ever took.
func stored(t *testing.T, r *projector.MemoryRegistry) uint64 {
	t.Helper()
	_, revision, err := r.Load(t.Context(), "totals")
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// quiet gives up what is being built, and waits until nothing is left to do.
func (u *upheaval) quiet(t *testing.T) {
	t.Helper()
	rest(time.Minute)
	if err := u.owner().Cancel(soon(t), "totals"); err != nil && !errors.Is(err, projector.ErrNoCandidate) {
		t.Error(err)
	}
	rest(time.Minute)
}
