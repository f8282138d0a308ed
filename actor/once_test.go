package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func TestSameCommandAgainReturnsTheFirstResult(t *testing.T) {
	t.Parallel()
	lives := map[string]func(t *testing.T, b *bench) *bench{
		"in the same actor": func(_ *testing.T, b *bench) *bench { return b },
		"after a restart": func(t *testing.T, b *bench) *bench {
			b.stop()
			return newBenchOn(t, b.memory, nil)
		},
		"after a restart without snapshots": func(t *testing.T, b *bench) *bench {
			b.stop()
			return newBenchOn(t, b.memory, func(c *actor.Config) { c.Snapshots = nil })
		},
	}
	for name, live := range lives {
		for _, later := range []int{0, 3, 300, 5000} {
			t.Run(fmt.Sprintf("%s, %d commands later", name, later), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, nil)
				b.must(t, "a", open{Owner: "Ann"})
				first := <-b.submit(t, actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":2}`), ID: "c-1"})
				if first.err != nil {
					t.Fatal(first.err)
				}
				for i := range later {
					if got := <-b.submit(t, deposited1(fmt.Sprint(i))); got.err != nil {
						t.Fatal(got.err)
					}
				}
				b = live(t, b)
				_, before := b.state(t, "a")
				again := <-b.submit(t, actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":2}`), ID: "c-1"})
				want := first.result
				want.Duplicate = true
				if d := cmp.Diff(want, again.result); d != "" || again.err != nil {
					t.Fatalf("error %v, result (-want +got):\n%s", again.err, d)
				}
				other := <-b.submit(t, actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":3}`), ID: "c-1"})
				if !errors.Is(other.err, actor.ErrDuplicateBody) {
					t.Fatalf("with another body: %+v", other)
				}
				if _, after := b.state(t, "a"); after != before {
					t.Fatalf("the stream grew from %d to %d", before, after)
				}
			})
		}
	}
}

func TestSameCommandTwiceInOneTurn(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	b.submit(t, deposited1("0"))
	<-entered
	one, two := b.submit(t, deposited1("twin")), b.submit(t, deposited1("twin"))
	release()
	first, second := <-one, <-two
	want := first.result
	want.Duplicate = true
	if d := cmp.Diff(want, second.result); d != "" || first.err != nil || second.err != nil || first.result.Duplicate {
		t.Fatalf("errors %v, %v; second (-want +got):\n%s", first.err, second.err, d)
	}
	if _, version := b.state(t, "a"); version != 3 {
		t.Fatalf("version %d, want 3", version)
	}
}

func TestRejectedCommandIsDecidedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	again := actor.Command{Stream: stream("a"), Name: "deposit", Codec: store.JSON, Body: []byte(`{"cents":1}`), ID: "c-1"}
	if got := <-b.submit(t, again); !errors.Is(got.err, actor.ErrRejected) {
		t.Fatalf("got %+v", got)
	}
	b.must(t, "a", open{Owner: "Ann"})
	if got := <-b.submit(t, again); got.err != nil || got.result.Duplicate || got.result.Version != 2 {
		t.Fatalf("got %+v", got)
	}
}

func TestLostAcknowledgementIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { c.AppendTimeout = 10 * time.Millisecond })
		b.must(t, "a", open{Owner: "Ann"})
		b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
			if _, err := next(ctx, c); err != nil {
				return store.Head{}, err
			}
			return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: context.DeadlineExceeded}
		})
		if got := <-b.submit(t, deposited1("c-1")); !errors.Is(got.err, store.ErrUnknown) {
			t.Fatalf("got %+v", got)
		}
		b.log.intercept(nil)
		got := <-b.submit(t, deposited1("c-1"))
		if got.err != nil || !got.result.Duplicate || got.result.Version != 2 {
			t.Fatalf("the same command again: %+v", got)
		}
		b.stop()
	})
}

func TestRefusedAppendStoresNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(t, "a", open{Owner: "Ann"})
	b.log.intercept(func(_ context.Context, c *store.Commit, _ appendFunc) (store.Head, error) {
		return store.Head{}, &store.RefusedError{Stream: c.Stream, Reason: errors.New("no space")}
	})
	if got := <-b.submit(t, deposited1("c-1")); !errors.Is(got.err, store.ErrRefused) || errors.Is(got.err, store.ErrUnavailable) {
		t.Fatalf("got %+v", got)
	}
	b.log.intercept(nil)
	if got := <-b.submit(t, deposited1("c-1")); got.err != nil || got.result.Duplicate || got.result.Version != 2 {
		t.Fatalf("the same command again: %+v", got)
	}
}

func TestLogThatMovedOnIsDecidedAnew(t *testing.T) {
	t.Parallel()
	memory := store.NewMemory(store.MemoryConfig{})
	shared := func(c *actor.Config) { c.Shared = true }
	one, two := newBenchOn(t, memory, shared), newBenchOn(t, memory, shared)
	one.must(t, "a", open{Owner: "Ann"})
	two.must(t, "a", deposit{Cents: 10}) // one's actor is now behind
	if _, err := one.sender.Execute(t.Context(), "a", withdraw{Cents: 11}); !errors.Is(err, errInsufficient) || err.Error() != "not that much in the account: 10 < 11" {
		t.Fatalf("a rejection that rests on an old state: %v", err)
	}
	two.must(t, "a", deposit{Cents: 10})
	if got := one.must(t, "a", withdraw{Cents: 20}); got.Version != 4 {
		t.Fatalf("got %+v", got)
	}
	if got := <-two.submit(t, deposited1("c-1")); got.err != nil || got.result.Version != 5 {
		t.Fatalf("got %+v", got)
	}
	if got := <-one.submit(t, deposited1("c-1")); got.err != nil || !got.result.Duplicate || got.result.Version != 5 {
		t.Fatalf("a command that the other system has executed: %+v", got)
	}
}

func TestLogThatKeepsMovingIsAConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		b.log.intercept(func(_ context.Context, c *store.Commit, _ appendFunc) (store.Head, error) {
			return store.Head{}, &store.ConflictError{Stream: c.Stream, Expected: c.After.Version, Actual: c.After.Version + 1}
		})
		if got := <-b.submit(t, deposited1("c-1")); !errors.Is(got.err, store.ErrConflict) {
			t.Fatalf("got %+v", got)
		}
		if n := b.log.appends.Load(); n < 5 || n > 50 {
			t.Fatalf("%d appends", n)
		}
	})
}
