package projector_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var (
	seed  = flag.Uint64("seed", 0, "the one seed to run, 0 for many; ANNALS_SEED does the same")
	seeds = flag.Uint64("seeds", 20, "how many seeds to run")
)

// eachSeed runs a test in a bubble for every seed, and names the seed.
func eachSeed(t *testing.T, run func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	someSeeds(t, *seeds, run)
}

// someSeeds is eachSeed for tests that take long: so many seeds will do.
func someSeeds(t *testing.T, most uint64, run func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	from, to := uint64(1), most
	one := *seed
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if one, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANNALS_SEED: %v", err)
		}
	}
	if one != 0 {
		from, to = one, one
	}
	for s := from; s <= to; s++ {
		t.Run(fmt.Sprintf("seed=%d", s), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { run(t, rand.New(rand.NewPCG(s, s))) })
		})
	}
}

// flakyLog is a log whose feeds break off and that is not there now and then.
type flakyLog struct {
	store.Log
	fails func() bool
}

var errAway = fmt.Errorf("%w: the log is away", store.ErrUnavailable)

func (l *flakyLog) Tip(ctx context.Context, types ...string) (store.Position, error) {
	if l.fails() {
		return 0, errAway
	}
	return l.Log.Tip(ctx, types...)
}

func (l *flakyLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if l.fails() {
		return nil, errAway
	}
	feed, err := l.Log.Follow(ctx, f)
	return &flakyFeed{Feed: feed, log: l}, err
}

type flakyFeed struct {
	store.Feed
	log *flakyLog
}

func (f *flakyFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if f.log.fails() {
		return nil, errAway
	}
	return f.Feed.Next(ctx, limit)
}

// randomConfig makes batches, pauses and the cache small enough that their
// limits are reached.
func randomConfig(r *rand.Rand) projector.Config {
	return projector.Config{
		BatchCommits:    1 + r.IntN(40),
		FlushEvery:      time.Duration(1+r.IntN(100)) * time.Millisecond,
		MaxLinger:       time.Duration(r.IntN(3)-1) * time.Millisecond,
		CachedDocuments: 1 + r.IntN(30),
		Logger:          slog.New(slog.DiscardHandler),
	}
}

// A group is stopped and started at random moments, its store loses, tears or
// forgets to acknowledge commits, its log goes away. In the end the view is
// what a plain fold of the log gives, and its proof what the log says.
func TestExactlyOnceUnderCrashes(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		view := totals("totals")
		var repaired atomic.Bool
		luck := newDice(r)
		failing := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if repaired.Load() || luck.IntN(3) > 0 {
				return none
			}
			return fault(1 + luck.IntN(3))
		}}
		log := &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(6) == 0 }}
		start := func() (*projector.Group, func()) {
			cfg := randomConfig(r)
			cfg.Log, cfg.Store, cfg.Projections = log, failing, []projector.Definition{view}
			g := newGroup(t, cfg)
			return g, running(t, g)
		}
		for range 8 {
			f.writer.random(r, 1+r.IntN(60), 12)
			_, stop := start()
			for range r.IntN(4) {
				rest(time.Duration(r.IntN(200)) * time.Millisecond)
				f.writer.random(r, r.IntN(20), 12)
			}
			stop()
		}
		repaired.Store(true)
		g, _ := start()
		agrees(t, f, g, view)
	})
}

// rest lets simulated time pass.
func rest(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// agrees waits until the view is up to date and compares it with a plain fold.
func agrees(t *testing.T, f *fixture, g *projector.Group, view projector.Documents[event, total]) {
	t.Helper()
	docs, proof, last := expected(t, f.log, view)
	if diff := cmp.Diff(docs, everything(t, g, view.Name, last)); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	got := statusOf(t, g, view.Name)
	if got.Events != proof.Events || got.Hash != proof.Hash.String() || got.Checkpoint != last {
		t.Errorf("checkpoint is %d after %d events, hash %s; want %d, %d, %s",
			got.Checkpoint, got.Events, got.Hash, last, proof.Events, proof.Hash)
	}
}

// Two groups run the same view. Neither knows of the other but by being fenced.
func TestTwoGroupsOnOneView(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		view := totals("totals")
		var stops []func()
		for range 2 {
			cfg := randomConfig(r)
			cfg.Log, cfg.Store, cfg.Projections = f.log, f.memory, []projector.Definition{view}
			stops = append(stops, running(t, newGroup(t, cfg)))
		}
		for range 30 {
			f.writer.random(r, r.IntN(20), 6)
			rest(time.Duration(r.IntN(300)) * time.Millisecond)
		}
		for _, stop := range stops {
			stop()
		}
		g := f.group(t, view)
		running(t, g)
		agrees(t, f, g, view)
	})
}

// A writer hangs in the middle of a commit; another takes the view over and
// goes on; then the first one's commit arrives.
func TestZombieIsFenced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		view := totals("totals")
		f.writer.add("a", 1)
		hanging, released := make(chan struct{}), make(chan struct{})
		hangs := true
		zombie := newGroup(t, projector.Config{Log: f.log, Projections: []projector.Definition{view}, Store: &faults{
			memory: f.memory,
			onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
				if hangs {
					hangs = false
					close(hanging)
					<-released
				}
				return none
			},
		}})
		running(t, zombie)
		<-hanging
		heir := f.group(t, view)
		running(t, heir)
		last := f.writer.add("a", 10)
		if err := heir.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		close(released)
		last = f.writer.add("a", 100)
		for _, g := range []*projector.Group{heir, zombie} {
			if d, err := g.Get(soon(t), "totals", "a", last); err != nil || decoded(t, d).Sum != 111 {
				t.Errorf("got %s, %v", d.Document, err)
			}
		}
	})
}

// What is served never goes back behind a position that was waited for.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		luck := newDice(r)
		failing := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if luck.IntN(10) == 0 {
				return fault(1 + luck.IntN(3))
			}
			return none
		}}
		cfg := randomConfig(r)
		cfg.Log, cfg.Store, cfg.Projections = f.log, failing, []projector.Definition{totals("totals")}
		g := newGroup(t, cfg)
		running(t, g)
		sum := 0
		for i := range 50 {
			sum += i
			p := f.writer.add("mine", i)
			f.writer.random(r, r.IntN(5), 6)
			if r.IntN(2) == 0 {
				p = f.writer.append(store.StreamID{Type: "other", ID: "x"}, closed{})
			}
			d, err := g.Get(soon(t), "totals", "mine", p)
			if err != nil {
				t.Fatal(err)
			}
			if got := decoded(t, d).Sum; got != sum {
				t.Fatalf("after write %d the sum is %d, want %d", i, got, sum)
			}
		}
	})
}

// While documents are ahead of the checkpoint, each checkpoint says so: a log
// that then loses its end is noticed.
func TestDocumentsAheadAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var positions []store.Position
		for range 10 {
			positions = append(positions, f.writer.add("a", 1))
		}
		far := positions[7]
		f.memory.Tear("totals", 1, projector.Document{Key: "a", Position: far, Document: []byte(`{"sum":8,"count":8,"by":{"added":8}}`)})
		var seen int
		watched := &faults{memory: f.memory, onCommit: func(_ projector.View, c projector.Checkpoint, _ []projector.Document) fault {
			if want := c.Position < far; want != (c.Furthest == far) {
				t.Errorf("checkpoint at %d says documents reach to %d, want %d", c.Position, c.Furthest, far)
			}
			if c.Furthest != 0 {
				seen++
			}
			return none
		}}
		view := totals("totals")
		view.Keys = func(e store.Recorded[event]) []string { return []string{e.Stream.ID} }
		g := newGroup(t, projector.Config{
			Log: f.log, Store: watched, BatchCommits: 1, FlushEvery: time.Nanosecond, Projections: []projector.Definition{slow(view)},
		})
		running(t, g)
		agrees(t, f, g, view)
		if seen == 0 {
			t.Error("no checkpoint was written before the documents' position")
		}
	})
}

// slow makes Keys take a moment.
func slow(view projector.Documents[event, total]) projector.Documents[event, total] {
	keys := view.Keys
	view.Keys = func(e store.Recorded[event]) []string {
		rest(time.Millisecond)
		return keys(e)
	}
	return view
}

// When the store is away the projection waits for it, and skips nothing.
func TestStoreAwayForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var back atomic.Bool
		failing := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if !back.Load() {
				return lost
			}
			return none
		}}
		g := newGroup(t, projector.Config{Log: f.log, Store: failing, Projections: []projector.Definition{totals("totals")}})
		running(t, g)
		last := f.writer.add("a", 1)
		rest(time.Minute)
		s := statusOf(t, g, "totals")
		if s.State != projector.StateFailed || s.Error == "" || s.LagEvents != 1 || s.LagSeconds < 59 {
			t.Errorf("status is %+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var timeout *projector.TimeoutError
		if err := g.Wait(ctx, "totals", last); !errors.As(err, &timeout) || !errors.Is(timeout.Reason, errFault) {
			t.Errorf("wait: %v", err)
		}
		back.Store(true)
		agrees(t, f, g, totals("totals"))
		if s := statusOf(t, g, "totals"); s.State != projector.StateLive || s.Error != "" || s.LagSeconds != 0 {
			t.Errorf("status is %+v", s)
		}
	})
}
