package projector_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The view moves among three groups at random: handed over in turn, or run by
// two at once, or by nobody for a while, on a log and a store that fail. In the
// end it is what a plain fold gives.
func TestFailOver(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		var repaired atomic.Bool
		luck := newDice(r)
		failing := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if repaired.Load() || luck.IntN(6) > 0 {
				return none
			}
			return fault(1 + luck.IntN(3))
		}}
		log := &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(12) == 0 }}
		var groups []*projector.Group
		var assigned []*projector.Assignment
		for range 3 {
			cfg := randomConfig(r)
			cfg.Log, cfg.Store, cfg.Projections = log, failing, []projector.Definition{totals("totals")}
			g, a := f.assigned(t, cfg)
			running(t, g)
			groups, assigned = append(groups, g), append(assigned, a)
		}
		for range 40 {
			i := r.IntN(3)
			if r.IntN(2) == 0 {
				assigned[i].Assign("totals")
			} else {
				assigned[i].Withdraw("totals")
				if r.IntN(2) == 0 {
					stopped(t, groups[i], "totals")
				}
			}
			f.writer.random(r, r.IntN(20), 8)
			rest(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		repaired.Store(true)
		for i, a := range assigned {
			a.Withdraw("totals")
			stopped(t, groups[i], "totals")
		}
		assigned[0].Assign("totals")
		agrees(t, f, groups[0], totals("totals"))
	})
}

// Once Stopped has returned, the group writes nothing until the view is
// assigned again, however short it was assigned before.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		var over atomic.Bool
		var writes atomic.Int64
		luck := newDice(r)
		watched := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			writes.Add(1)
			rest(time.Duration(luck.IntN(20)) * time.Millisecond)
			if over.Load() {
				t.Error("it writes after its end")
			}
			return none
		}}
		g, a := f.assigned(t, projector.Config{Store: watched, Projections: []projector.Definition{totals("totals")}})
		running(t, g)
		for range 50 {
			f.writer.random(r, 1+r.IntN(5), 4)
			over.Store(false)
			a.Assign("totals")
			if pause := r.IntN(3); pause > 0 {
				rest(time.Duration(pause*r.IntN(20)) * time.Millisecond)
			}
			a.Withdraw("totals")
			stopped(t, g, "totals")
			over.Store(true)
			rest(time.Duration(r.IntN(50)) * time.Millisecond)
		}
		if writes.Load() == 0 {
			t.Error("nothing was ever written: this shows nothing")
		}
	})
}

// countingLog counts how often it is followed: each time is a take-over.
type countingLog struct {
	store.Log
	follows atomic.Int64
}

func (l *countingLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if f.Name != "" { // nameless is who only looks how far behind a view is
		l.follows.Add(1)
	}
	return l.Log.Follow(ctx, f)
}

// Two groups believe for ten minutes that the view is theirs. They take it from
// each other, ever more seldom, and all that time it moves on.
func TestTwoGroupsMakeNoStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		log := &countingLog{Log: f.log}
		var groups []*projector.Group
		for range 2 {
			g := newGroup(t, projector.Config{Log: log, Store: f.memory, Projections: []projector.Definition{totals("totals")}})
			running(t, g)
			groups = append(groups, g)
		}
		const minutes, aMinute = 10, 60 * 4
		for range minutes * aMinute {
			rest(time.Minute / aMinute)
			began := time.Now()
			last := f.writer.add("a", 1)
			// One of the two has it soon, and the other can read what that one wrote.
			ctx, cancel := withTimeout(t, time.Minute)
			var first sync.WaitGroup
			for _, g := range groups {
				first.Go(func() {
					if g.Wait(ctx, "totals", last) == nil {
						cancel()
					}
				})
			}
			first.Wait()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("an event was visible after %v", took)
			}
			cancel()
		}
		// Who lost it pauses at least 2.5 s, once 7 failures have made that grow.
		const most = minutes*60*10/25 + 2*7
		t.Logf("taken over %d times", log.follows.Load())
		if n := log.follows.Load(); n > most || n < minutes*2 {
			t.Errorf("the view was taken over %d times, want at most %d, and some", n, most)
		}
		agrees(t, f, groups[0], totals("totals"))
	})
}

// zombie is a group that hangs in its first commit, until it is released.
type zombie struct {
	hanging, released chan struct{}
	fenced            atomic.Int64
}

func newZombie() *zombie { return &zombie{hanging: make(chan struct{}), released: make(chan struct{})} }

// on returns the store as the zombie has it.
func (z *zombie) on(s projector.Store) projector.Store { return zombieStore{s, z} }

type zombieStore struct {
	projector.Store
	zombie *zombie
}

func (s zombieStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return zombieView{v, s.zombie}, err
}

type zombieView struct {
	projector.View
	zombie *zombie
}

func (v zombieView) Commit(_ context.Context, w projector.Write) (projector.Checkpoint, error) {
	select {
	case <-v.zombie.hanging:
	default:
		close(v.zombie.hanging)
		<-v.zombie.released
	}
	c, err := v.View.Commit(context.Background(), w) // whatever the caller's patience
	if errors.Is(err, projector.ErrFenced) {
		v.zombie.fenced.Add(1)
	}
	return c, err
}

// A paused writer awakes after another took its view over. Its write is
// refused. If the view is not its own any more, it stops without a word, even
// if nobody told it; else it goes on.
func TestAZombieAwakes(t *testing.T) {
	t.Parallel()
	for name, still := range map[string]bool{"still assigned": true, "not assigned any more": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.writer.add("a", 1)
				z, out, registry := newZombie(), &logged{}, prometheus.NewPedanticRegistry()
				log := &countingLog{Log: f.log}
				var mine atomic.Bool
				mine.Store(true)
				old := newGroup(t, projector.Config{
					Log: log, Store: z.on(f.memory), Registerer: registry, CommitTimeout: time.Hour,
					Logger:      slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn})),
					Projections: []projector.Definition{totals("totals")},
					Assigned:    func(string) bool { return mine.Load() }, // and never a word of a change
				})
				running(t, old)
				<-z.hanging
				heir := f.group(t, totals("totals"))
				running(t, heir)
				last := f.writer.add("a", 10)
				if err := heir.Wait(soon(t), "totals", last); err != nil {
					t.Fatal(err)
				}
				mine.Store(still)
				close(z.released)
				rest(10 * time.Second)
				if z.fenced.Load() == 0 {
					t.Error("the late write was not refused")
				}
				got := gathered(t, registry)
				if still {
					if got["annals_projection_fenced_total/totals"] < 1 || !strings.Contains(out.String(), `msg="projection was taken over"`) {
						t.Errorf("fenced %v times, and the log says %q", got["annals_projection_fenced_total/totals"], out)
					}
					if _, err := old.Get(soon(t), "totals", "a", f.writer.add("a", 100)); err != nil {
						t.Errorf("it does not go on: %v", err)
					}
				} else {
					if got["annals_projection_errors_total/totals"] != 0 || out.String() != "" || log.follows.Load() != 1 {
						t.Errorf("%v errors, followed %d times, and the log says %q", got["annals_projection_errors_total/totals"], log.follows.Load(), out)
					}
					wantElsewhere(t, old, "totals")
					stopped(t, old, "totals")
				}
				agrees(t, f, heir, totals("totals"))
			})
		})
	}
}
