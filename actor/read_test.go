package actor_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func (b *bench) read(t *testing.T, id string, linearizable bool) actor.State {
	t.Helper()
	got, err := b.system.Read(t.Context(), stream(id), linearizable)
	if err != nil {
		t.Fatalf("read %s: %v", id, err)
	}
	return got
}

func TestReadEqualsTheLogsState(t *testing.T) {
	t.Parallel()
	for _, linearizable := range []bool{false, true} {
		b := newLeased(t, newMemory(), nil)
		b.must(t, "a", open{Owner: "Ann"})
		b.must(t, "a", scatter{N: 3})
		for range 2 { // live, then loaded by the read
			want, err := b.system.State(t.Context(), stream("a"), actor.At{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, b.read(t, "a", linearizable)); d != "" {
				t.Errorf("linearizable %v (-log +live):\n%s", linearizable, d)
			}
			b.system.Release(t.Context(), partitionOf("a"))
			b.system.Open(partitionOf("a"))
		}
		for id, want := range map[string]error{"none": store.ErrNotFound, "": store.ErrInvalid} {
			if _, err := b.system.Read(t.Context(), stream(id), linearizable); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", id, err, want)
			}
		}
		if _, err := b.system.Read(t.Context(), store.StreamID{Type: "ghost", ID: "a"}, linearizable); !errors.Is(err, store.ErrUnknownType) {
			t.Errorf("unknown aggregate: %v", err)
		}
	}
}

// Evolve reuses its maps: what a reader was given must not change under it,
// nor reach the actor.
func TestStateThatWasReadIsTheReadersOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	one, two := b.read(t, "a", false).Value.(account), b.read(t, "a", false).Value.(account)
	one.Seen["reader"] = 1
	b.must(t, "a", deposit{Cents: 1})
	if len(two.Seen) != 1 || two.Seen["actor_test.opened"] != 1 {
		t.Errorf("what was read has become %v", two.Seen)
	}
	if now := b.read(t, "a", false).Value.(account); len(now.Seen) != 2 {
		t.Errorf("what a reader wrote has become state: %v", now.Seen)
	}
}

func TestReadComesInItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLeased(t, newMemory(), nil)
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		entered, release := b.hold()
		b.submit(t, deposits("a", "1"))
		<-entered
		second := b.submit(t, deposits("a", "2"))
		states := make(chan actor.State, 2)
		for range 2 { // they share a turn with the second and the third deposit
			go func() { states <- b.read(t, "a", false) }()
		}
		synctest.Wait()
		third := b.submit(t, deposits("a", "3"))
		last := make(chan actor.State, 1)
		go func() { last <- b.read(t, "a", false) }()
		synctest.Wait()
		select {
		case got := <-states:
			t.Fatalf("read before what was queued is stored: %+v", got)
		default:
		}
		time.Sleep(time.Second) // so that the commit has a time of its own
		release()
		if got := <-third; got.err != nil || got.result.Version != 4 {
			t.Fatalf("third: %+v", got)
		}
		result := (<-second).result
		at := b.commits(t, "a")[2].Time
		for range 2 {
			got := <-states
			if got.Version != 3 || got.Position != result.Position || !got.Time.Equal(at) || got.Value.(account).Cents != 2 {
				t.Errorf("read %+v at %v, want version 3 of %v", got, got.Time, at)
			}
		}
		if got := <-last; got.Version != 4 || got.Value.(account).Cents != 3 {
			t.Errorf("the last read has %+v, want version 4", got)
		}
		if n := len(b.commits(t, "a")); n != 3 {
			t.Errorf("%d commits: reads must not split a turn", n)
		}
	})
}

func TestReadOfWhatIsNotStored(t *testing.T) {
	t.Parallel()
	failures := map[string]func(*store.Commit) error{
		"unknown": func(c *store.Commit) error {
			return &store.UnknownError{Stream: c.Stream, Reason: context.DeadlineExceeded}
		},
		"refused": func(c *store.Commit) error {
			return &store.RefusedError{Stream: c.Stream, Reason: errors.New("no space")}
		},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newLeased(t, newMemory(), nil)
				defer b.stop()
				b.must(t, "a", open{Owner: "Ann"})
				entered, release := b.hold()
				b.submit(t, deposits("a", "1"))
				<-entered
				b.submit(t, deposits("a", "2"))
				read := make(chan error, 1)
				go func() {
					_, err := b.system.Read(t.Context(), stream("a"), false)
					read <- err
				}()
				synctest.Wait()
				b.log.intercept(func(_ context.Context, c *store.Commit, _ appendFunc) (store.Head, error) {
					return store.Head{}, failure(c)
				})
				release()
				if err := <-read; !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrRefused) {
					t.Errorf("read of a state that was not stored: %v", err)
				}
			})
		})
	}
}

func TestReadBesideAnEvolveThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLeased(t, newMemory(), nil)
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		entered, release := b.hold()
		b.submit(t, deposits("a", "1"))
		<-entered
		reads := make(chan actor.State, 2)
		go func() { reads <- b.read(t, "a", false) }()
		synctest.Wait()
		bad := b.submit(t, actor.Command{Stream: stream("a"), Name: "corrupt"})
		synctest.Wait()
		go func() { reads <- b.read(t, "a", false) }()
		synctest.Wait()
		release()
		if got := <-bad; !errors.Is(got.err, actor.ErrInternal) {
			t.Errorf("got %+v", got)
		}
		for range 2 {
			if got := <-reads; got.Version != 2 || len(got.Value.(account).Seen) != 2 {
				t.Errorf("read %+v", got)
			}
		}
	})
}

func TestReadNeedsTheLease(t *testing.T) {
	t.Parallel()
	for how, lapse := range lapses {
		b := newLeased(t, newMemory(), nil)
		b.must(t, "a", open{Owner: "Ann"})
		b.lease.setAfter(1, lapse.epoch, lapse.valid)
		if _, err := b.system.Read(t.Context(), stream("a"), false); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, actor.ErrMoved) {
			t.Errorf("%s: %v", how, err)
		}
		b.lease.set(ownEpoch, true)
		b.lease.setAfter(1, lapse.epoch, lapse.valid)
		if _, err := b.system.Read(t.Context(), stream("none"), false); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: that there is nothing is an answer, too: %v", how, err)
		}
	}
}

func TestLinearizableReadConfirmsTheHolding(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.must(t, "a", open{Owner: "Ann"})
	var confirmed atomic.Int64
	b.lease.confirm = func(ctx context.Context, partition int, epoch uint64) error {
		if partition != partitionOf("a") || epoch != ownEpoch {
			t.Errorf("confirm partition %d under epoch %d", partition, epoch)
		}
		confirmed.Add(1)
		b.must(t, "a", deposit{Cents: 1}) // the actor is not held up
		return nil
	}
	if got := b.read(t, "a", true); got.Version != 2 || confirmed.Load() != 1 {
		t.Errorf("%+v after %d confirmations: it is older than the holding was confirmed", got, confirmed.Load())
	}
	if got := b.read(t, "a", false); got.Version != 2 || confirmed.Load() != 1 {
		t.Errorf("%+v, and a plain read was confirmed", got)
	}
	lost := errors.New("lost it")
	b.lease.confirm = func(context.Context, int, uint64) error { return lost }
	if _, err := b.system.Read(t.Context(), stream("a"), true); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, lost) {
		t.Errorf("not confirmed: %v", err)
	}
	b.lease.set(ownEpoch, false)
	b.lease.confirm = func(context.Context, int, uint64) error { t.Error("confirmed without a lease"); return nil }
	if _, err := b.system.Read(t.Context(), stream("a"), true); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("not valid: %v", err)
	}
}

func TestLinearizableReadWithoutLeasesAsksTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	rival := newBenchOn(t, b.memory, nil)
	b.must(t, "a", open{Owner: "Ann"})
	rival.must(t, "a", deposit{Cents: 5})
	if got := b.read(t, "a", false); got.Version != 1 {
		t.Fatalf("a plain read asked the log: %+v", got)
	}
	if got := b.read(t, "a", true); got.Version != 2 || got.Value.(account).Cents != 5 {
		t.Fatalf("a linearizable read did not: %+v", got)
	}
}

func TestReadWithoutTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLeased(t, newMemory(), nil)
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		entered, release := b.hold()
		b.submit(t, deposits("a", "1"))
		<-entered
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.system.Read(ctx, stream("a"), false); !errors.Is(err, actor.ErrDeadline) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("queued: %v", err)
		}
		release()
		block := make(chan struct{})
		b.log.onRead(func() { <-block })
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.system.Read(ctx, stream("loading"), false); !errors.Is(err, actor.ErrDeadline) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("in its turn: %v", err)
		}
		close(block)
	})
}
