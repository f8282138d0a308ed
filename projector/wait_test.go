package projector_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func withTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(context.Background(), d)
}

func TestWaitTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		last := f.writer.add("a", 1)
		err := timedWait(t, g, "totals", last) // nobody runs it
		var timeout *projector.TimeoutError
		if !errors.As(err, &timeout) || timeout.View != "totals" || timeout.Want != last || timeout.Has != 0 {
			t.Errorf("wait: %v", err)
		}
		if !errors.Is(err, projector.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is neither a timeout nor the context's error", err)
		}
	})
}

// The position of an event that does not concern the view is covered as soon
// as the view has all that does.
func TestWaitForAnotherTypesPosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		mine := f.writer.add("a", 1)
		other := f.writer.append(store.StreamID{Type: "other", ID: "x"}, closed{})
		began := time.Now()
		if err := g.Wait(soon(t), "totals", other); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if s := statusOf(t, g, "totals"); s.Checkpoint != mine || s.LagEvents != 0 {
			t.Errorf("status is %+v", s)
		}
		began = time.Now()
		if err := g.Wait(soon(t), "totals", other); err != nil || time.Since(began) > 0 {
			t.Errorf("again: %v after %v", err, time.Since(began))
		}
	})
}

func TestWaitForAnotherTypesPositionWhileBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		slow := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			rest(2 * time.Second)
			return none
		}}
		g := newGroup(t, projector.Config{Log: f.log, Store: slow, Projections: []projector.Definition{totals("totals")}})
		running(t, g)
		f.writer.add("a", 1)
		other := f.writer.append(store.StreamID{Type: "other", ID: "x"}, closed{})
		d, err := g.Get(soon(t), "totals", "a", other)
		if err != nil || decoded(t, d).Sum != 1 {
			t.Errorf("got %s, %v", d.Document, err)
		}
	})
}

func TestWaitForAPositionBeyondTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		last := f.writer.add("a", 1)
		began := time.Now()
		if err := g.Wait(soon(t), "totals", last+1024); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("wait: %v", err)
		}
		if took := time.Since(began); took < time.Second || took > 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := newGroup(t, projector.Config{Log: f.log, Store: f.memory, MaxWaiters: 10, Projections: []projector.Definition{totals("totals")}})
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		var timeouts atomic.Int64
		for i := range 10 {
			waiting.Go(func() {
				if err := g.Wait(ctx, "totals", store.Position(i+1)); errors.Is(err, projector.ErrTimeout) {
					timeouts.Add(1)
				}
			})
		}
		synctest.Wait()
		if err := g.Wait(ctx, "totals", 1); !errors.Is(err, projector.ErrBusy) {
			t.Errorf("the eleventh: %v", err)
		}
		cancel()
		waiting.Wait()
		if timeouts.Load() != 10 {
			t.Errorf("%d of 10 timed out", timeouts.Load())
		}
		running(t, g)
		if err := g.Wait(soon(t), "totals", f.writer.add("a", 1)); err != nil {
			t.Errorf("after they left: %v", err)
		}
	})
}

func TestWaitersAreWokenInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		var positions []store.Position
		for range 100 {
			positions = append(positions, f.writer.add("a", 1))
		}
		var waiting sync.WaitGroup
		for i, p := range positions {
			waiting.Go(func() {
				d, err := g.Get(soon(t), "totals", "a", p)
				if err != nil || decoded(t, d).Sum < i+1 {
					t.Errorf("at position %d: %s, %v", p, d.Document, err)
				}
			})
		}
		waiting.Wait()
	})
}

func TestWaitEndsWithTheGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		stop := running(t, g)
		last := f.writer.add("a", 1)
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- g.Wait(context.Background(), "totals", last+1) }()
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, projector.ErrStopped) {
			t.Errorf("wait: %v", err)
		}
		if err := g.Wait(t.Context(), "totals", last+1); !errors.Is(err, projector.ErrStopped) {
			t.Errorf("wait afterwards: %v", err)
		}
		if _, err := g.Get(t.Context(), "totals", "a", last); err != nil {
			t.Errorf("what is there is not served any more: %v", err)
		}
	})
}
