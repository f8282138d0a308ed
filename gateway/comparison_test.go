package gateway_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// comparing is actors whose comparisons take until they are let go.
type comparing struct {
	fakeActors
	under, most atomic.Int64
	begun       chan struct{}
	release     chan struct{}
}

func (c *comparing) work(ctx context.Context) error {
	defer c.under.Add(-1)
	for now := c.under.Add(1); ; {
		most := c.most.Load()
		if now <= most || c.most.CompareAndSwap(most, now) {
			break
		}
	}
	c.begun <- struct{}{}
	select {
	case <-c.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *comparing) Diff(ctx context.Context, _ store.StreamID, _, _ actor.At) (actor.Difference, error) {
	return actor.Difference{}, c.work(ctx)
}

func (c *comparing) Changes(ctx context.Context, _ store.StreamID, _ uint64) iter.Seq2[store.Recorded[[]actor.Change], error] {
	return func(yield func(store.Recorded[[]actor.Change], error) bool) {
		yield(store.Recorded[[]actor.Change]{Version: 1}, c.work(ctx))
	}
}

// Differences and changes hold whole states, so only so many are worked out at once;
// one more is told that, and other reads are not kept out.
func TestComparisonsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 3
	s := startServer(t)
	c := &comparing{begun: make(chan struct{}, most), release: make(chan struct{})}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: c, MaxComparisons: most, MaxReads: 1})
	client := newClient(t, connect(t, s))
	done := make(chan error, most)
	for i := range most {
		go func() {
			var err error
			if i%2 == 0 {
				_, err = client.Diff(t.Context(), accountStream("a"), actor.At{}, actor.At{})
			} else {
				_, _, err = client.ChangesPage(t.Context(), accountStream("a"), 0)
			}
			done <- err
		}()
		receive(t, c.begun)
	}
	_, diff := client.Diff(t.Context(), accountStream("a"), actor.At{}, actor.At{})
	_, _, changes := client.ChangesPage(t.Context(), accountStream("a"), 0)
	for what, err := range map[string]error{"difference": diff, "changes": changes} {
		e, typed := errors.AsType[*gateway.Error](err)
		if !typed || e.Code != gateway.CodeBusy || !e.Retryable || !errors.Is(err, actor.ErrBusy) {
			t.Errorf("one more %s: %v, want busy", what, err)
		}
	}
	if _, err := client.State(t.Context(), accountStream("a"), actor.At{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another read meanwhile: %v", err)
	}
	close(c.release)
	for range most {
		if err := receive(t, done); err != nil {
			t.Errorf("one of those that had a place: %v", err)
		}
	}
	if _, err := client.Diff(t.Context(), accountStream("a"), actor.At{}, actor.At{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if got := c.most.Load(); got != most {
		t.Errorf("%d at once, want %d", got, most)
	}
}
