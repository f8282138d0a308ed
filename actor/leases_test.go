package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func TestPartitionsBeginClosed(t *testing.T) {
	t.Parallel()
	lease := &fakeLease{epoch: ownEpoch, valid: true}
	b := newBench(t, func(c *actor.Config) { c.Leases = lease })
	lease.confirm = func(context.Context, int, uint64) error {
		t.Error("a closed partition was confirmed")
		return nil
	}
	if partitionOf("a") == partitionOf("b") {
		t.Fatal("the ids must be in two partitions")
	}
	for _, id := range []string{"a", "b"} {
		if _, err := b.sender.Execute(t.Context(), id, open{Owner: "Ann"}); !errors.Is(err, actor.ErrMoved) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("command in a closed partition: %v", err)
		}
		if _, err := b.system.Read(t.Context(), stream(id), true); !errors.Is(err, actor.ErrMoved) {
			t.Errorf("read in a closed partition: %v", err)
		}
	}
	b.system.Open(partitionOf("a"))
	b.must(t, "a", open{Owner: "Ann"})
	if _, err := b.sender.Execute(t.Context(), "b", open{Owner: "Ann"}); !errors.Is(err, actor.ErrMoved) {
		t.Errorf("another partition was opened, too: %v", err)
	}
	if n := b.log.appends.Load(); n != 1 {
		t.Errorf("%d appends, want 1", n)
	}
}

func TestPartitionsMustBeTheLogs(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{Partitions: 64})
	for partitions, good := range map[int]bool{0: true, 64: true, 128: false, -1: false} {
		_, err := actor.NewSystem(actor.Config{Log: log, Aggregates: []actor.Definition{accounts}, Partitions: partitions})
		if (err == nil) != good {
			t.Errorf("%d partitions on a log of 64: %v", partitions, err)
		}
	}
}

func (b *bench) epochs(t *testing.T, id string) (epochs []uint64) {
	t.Helper()
	for _, c := range b.commits(t, id) {
		epochs = append(epochs, c.Epoch)
	}
	return epochs
}

func TestCommitsCarryTheEpoch(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.must(t, "a", deposit{Cents: 1})
	b.lease.set(9, true)
	b.must(t, "a", deposit{Cents: 1})
	if got := fmt.Sprint(b.epochs(t, "a")); got != "[7 7 9]" {
		t.Fatalf("epochs %s", got)
	}
}

func TestWithoutLeasesTheHeadsEpochIsCarriedOn(t *testing.T) {
	t.Parallel()
	for _, events := range []int{3, 30} { // by replay, and from a snapshot
		leased := newLeased(t, newMemory(), nil)
		leased.fill(t, "a", events)
		leased.stop()
		if _, ok := leased.snapshot(t, "a"); ok != (events == 30) {
			t.Fatalf("after %d events, there is a snapshot: %v", events, ok)
		}
		b := newBenchOn(t, leased.memory, nil)
		b.must(t, "a", deposit{Cents: 1})
		b.must(t, "a", deposit{Cents: 1})
		b.must(t, "b", open{Owner: "Bea"})
		if got := b.epochs(t, "a"); got[events] != ownEpoch || got[events+1] != ownEpoch {
			t.Errorf("epochs %v", got)
		}
		if got := b.epochs(t, "b"); got[0] != 0 {
			t.Errorf("epochs %v of a stream that nobody held", got)
		}
	}
}

// What was folded under one epoch proves nothing under another: somebody else
// may have held the partition in between.
func TestAnotherEpochLoadsTheActorAgain(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	rival := newBenchOn(t, b.memory, nil)
	b.must(t, "a", open{Owner: "Ann"})
	rival.must(t, "a", deposit{Cents: 5})
	if got := b.must(t, "a", touch{}); got.Version != 1 {
		t.Fatalf("under the same epoch the log was read again: %+v", got)
	}
	b.lease.set(ownEpoch+1, true)
	if got := b.must(t, "a", touch{}); got.Version != 2 {
		t.Fatalf("answered out of the memory of another epoch: %+v", got)
	}
}

func TestStreamOfALaterEpochIsNotContinued(t *testing.T) {
	t.Parallel()
	for name, events := range map[string]int{"by replay": 3, "from a snapshot": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			later := newLeased(t, newMemory(), nil)
			later.lease.set(ownEpoch+1, true)
			later.fill(t, "a", events)
			later.stop()
			registry := prometheus.NewRegistry()
			b := newLeased(t, later.memory, func(c *actor.Config) { c.Registerer = registry })
			if _, err := b.sender.Execute(t.Context(), "a", deposit{Cents: 1}); !errors.Is(err, actor.ErrMoved) {
				t.Fatalf("command: %v", err)
			}
			if _, err := b.system.Read(t.Context(), stream("a"), false); !errors.Is(err, actor.ErrMoved) {
				t.Fatalf("read: %v", err)
			}
			if n := b.log.appends.Load(); n != 0 {
				t.Errorf("%d appends", n)
			}
			if n := b.system.Active(); n != 0 {
				t.Errorf("%d actors are kept", n)
			}
			if n := metric(t, registry, "annals_append_conflicts_total", "stale_epoch"); n != 2 {
				t.Errorf("%v stale epochs are counted", n)
			}
		})
	}
}

func TestConflictWithALaterEpochEndsTheActor(t *testing.T) {
	t.Parallel()
	memory := newMemory()
	b, later := newLeased(t, memory, nil), newLeased(t, memory, nil)
	later.lease.set(ownEpoch+1, true)
	b.must(t, "a", open{Owner: "Ann"})
	later.must(t, "a", deposit{Cents: 1})
	entered, release := b.hold()
	first := b.submit(t, deposits("a", "1"))
	<-entered
	second := b.submit(t, deposits("a", "2"))
	reads := b.log.reads.Load()
	release()
	for _, replies := range []<-chan reply{first, second} {
		if got := <-replies; !errors.Is(got.err, actor.ErrMoved) {
			t.Errorf("got %+v", got)
		}
	}
	if n := b.log.appends.Load(); n != 2 { // the opening, and the one that met the conflict
		t.Errorf("%d appends, want 2", n)
	}
	if n := b.log.reads.Load() - reads; n != 1 {
		t.Errorf("the stream was loaded %d times for an actor that was forgotten", n)
	}
	if n := len(b.commits(t, "a")); n != 2 {
		t.Errorf("%d commits, want 2", n)
	}
}

// A lease that lapsed between the beginning of a turn and its answers.
func TestAnswersOfMemoryNeedTheLease(t *testing.T) {
	t.Parallel()
	commands := map[string]actor.Command{
		"a rejection":          {Name: "withdraw", Codec: store.JSON, Body: []byte(`{"cents":99}`)},
		"nothing to do":        {Name: "touch"},
		"another version":      {Name: "touch", Expected: 9, HasExpected: true},
		"a body used before":   {Name: "touch", ID: "known"},
		"a panic in Decide":    {Name: "explode"},
		"too much for a turn":  {Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":2000}`)},
		"rejected, with an id": {Name: "withdraw", Codec: store.JSON, Body: []byte(`{"cents":99}`), ID: "w"},
	}
	for how, lapse := range lapses {
		for name, c := range commands {
			t.Run(how+", "+name, func(t *testing.T) {
				t.Parallel()
				b := newLeased(t, newMemory(), nil)
				b.must(t, "a", open{Owner: "Ann"})
				if got := <-b.submit(t, deposits("a", "known")); got.err != nil {
					t.Fatal(got.err)
				}
				c.Stream = stream("a")
				if got := <-b.submit(t, c); got.err != nil && errors.Is(got.err, store.ErrUnavailable) {
					t.Fatalf("under the lease: %+v", got)
				}
				b.lease.setAfter(1, lapse.epoch, lapse.valid)
				got := <-b.submit(t, c)
				if !errors.Is(got.err, store.ErrUnavailable) || errors.Is(got.err, actor.ErrMoved) || errors.Is(got.err, store.ErrUnknown) ||
					errors.Is(got.err, actor.ErrRejected) || errors.Is(got.err, store.ErrConflict) {
					t.Fatalf("got %+v", got)
				}
			})
		}
	}
}

func TestWhatWasStoredUnderALapsedLeaseIsUnknown(t *testing.T) {
	t.Parallel()
	for how, lapse := range lapses {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b := newLeased(t, newMemory(), nil)
			b.must(t, "a", open{Owner: "Ann"})
			if got := <-b.submit(t, deposits("a", "known")); got.err != nil {
				t.Fatal(got.err)
			}
			entered, release := b.hold()
			first := b.submit(t, deposits("a", "first"))
			<-entered
			// All of these become one turn, and the lease ends while it is appended.
			queued := map[string]<-chan reply{
				"stored":    b.submit(t, deposits("a", "new")),
				"again":     b.submit(t, deposits("a", "new")),
				"duplicate": b.submit(t, deposits("a", "known")),
				"rejected":  b.submit(t, actor.Command{Stream: stream("a"), Name: "withdraw", Codec: store.JSON, Body: []byte(`{"cents":99}`)}),
			}
			b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
				b.lease.set(lapse.epoch, lapse.valid)
				return next(ctx, c)
			})
			release()
			if got := <-first; got.err != nil {
				t.Fatalf("the turn before: %+v", got)
			}
			for _, name := range []string{"stored", "again"} {
				if got := <-queued[name]; !errors.Is(got.err, store.ErrUnknown) || errors.Is(got.err, store.ErrUnavailable) {
					t.Errorf("%s: %+v", name, got)
				}
			}
			if got := <-queued["duplicate"]; got.err != nil || !got.result.Duplicate || got.result.Version != 2 {
				t.Errorf("what the log had answered before: %+v", got)
			}
			if got := <-queued["rejected"]; !errors.Is(got.err, store.ErrUnavailable) || errors.Is(got.err, store.ErrUnknown) {
				t.Errorf("rejected: %+v", got)
			}
			if n := b.log.appends.Load(); n != 4 {
				t.Errorf("%d appends, want 4: nothing is tried again", n)
			}
			b.log.intercept(nil)
			b.lease.set(ownEpoch+1, true)
			if got := <-b.submit(t, deposits("a", "new")); got.err != nil || !got.result.Duplicate || got.result.Version != 4 {
				t.Errorf("the same command under the next lease: %+v", got)
			}
		})
	}
}

func TestTurnBeginsUnderAValidLease(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.lease.set(ownEpoch, false)
	reads := b.log.reads.Load()
	for _, id := range []string{"a", "b"} { // live, and not
		_, err := b.sender.Execute(t.Context(), id, deposit{Cents: 1})
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, actor.ErrMoved) {
			t.Errorf("command on %s: %v", id, err)
		}
		if _, err := b.system.Read(t.Context(), stream(id), false); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("read of %s: %v", id, err)
		}
	}
	if n := b.log.appends.Load(); n != 1 || b.log.reads.Load() != reads {
		t.Errorf("%d appends and %d reads of the log without a lease", n-1, b.log.reads.Load()-reads)
	}
	b.lease.set(ownEpoch, true) // the renewal was late, and nobody else held it
	b.must(t, "a", deposit{Cents: 1})
	if b.log.reads.Load() != reads {
		t.Error("the actor was loaded again under the same epoch")
	}
}

func TestLeaseThatEndsWhileLoadingStoresNothing(t *testing.T) {
	t.Parallel()
	for how, lapse := range lapses {
		b := newLeased(t, newMemory(), nil)
		b.log.onRead(func() { b.lease.set(lapse.epoch, lapse.valid) })
		_, err := b.sender.Execute(t.Context(), "a", open{Owner: "Ann"})
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) || b.log.appends.Load() != 0 {
			t.Errorf("%s: %v after %d appends", how, err, b.log.appends.Load())
		}
	}
}

func TestConflictWithoutALeaseIsNotDecidedAgain(t *testing.T) {
	t.Parallel()
	for how, lapse := range lapses {
		b := newLeased(t, newMemory(), nil)
		rival := newBenchOn(t, b.memory, nil)
		b.must(t, "a", open{Owner: "Ann"})
		rival.must(t, "a", deposit{Cents: 1})
		b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
			b.lease.set(lapse.epoch, lapse.valid)
			return next(ctx, c)
		})
		reads := b.log.reads.Load()
		if _, err := b.sender.Execute(t.Context(), "a", deposit{Cents: 1}); !errors.Is(err, actor.ErrMoved) {
			t.Errorf("%s: %v", how, err)
		}
		if n := b.log.appends.Load(); n != 2 || b.log.reads.Load() != reads {
			t.Errorf("%s: %d appends, want 2, and %d reads", how, n, b.log.reads.Load()-reads)
		}
	}
}

func TestConflictsAreCountedByCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		b := newBench(t, func(c *actor.Config) { c.Registerer = registry })
		defer b.stop()
		rival := newBenchOn(t, b.memory, nil)
		defer rival.stop()
		b.must(t, "a", open{Owner: "Ann"})
		rival.must(t, "a", deposit{Cents: 1})
		b.must(t, "a", deposit{Cents: 1})
		for range 3 {
			_, err := b.sender.ExecuteWith(t.Context(), "a", deposit{Cents: 1}, actor.Command{Expected: 1, HasExpected: true})
			if !errors.Is(err, store.ErrConflict) {
				t.Fatal(err)
			}
		}
		for cause, want := range map[string]float64{"log": 1, "expected_version": 3, "stale_epoch": 0} {
			if got := metric(t, registry, "annals_append_conflicts_total", cause); got != want {
				t.Errorf("%s: %v, want %v", cause, got, want)
			}
		}
	})
}
