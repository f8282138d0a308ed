package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
)

// A command may name views that its answer waits for. It takes its place among
// those that wait before it is executed: afterwards there is nothing to refuse.

// admitWait takes a place among those that wait; true also if the errand waits
// for no view.
func (g *Gateway) admitWait(e *errand) bool { return len(e.views) == 0 || g.reads.TryAcquire(1) }

func (g *Gateway) endWait(e *errand) {
	if len(e.views) > 0 {
		g.reads.Release(1)
	}
}

// errNoPlace is why a command that would wait for views is not executed.
func (g *Gateway) errNoPlace() error {
	return fmt.Errorf("%w: %d reads are under way on node %s", actor.ErrBusy, g.config.MaxReads, g.config.Node)
}

// replyWhenSeen answers a command that took effect, once its views have it or
// the sender's time is over. The answer is that of a success either way, for
// that is what became of the command, and says of each view whether it got there.
func (g *Gateway) replyWhenSeen(e *errand, result actor.Result) {
	defer g.release(e.size)
	defer g.endWait(e)
	e.meter.done(e.request, "", result.Duplicate) // how long a view takes is not the command's time
	e.answer(result, g.see(e, result))
}

func (g *Gateway) see(e *errand, result actor.Result) []ViewWait {
	ctx, cancel := context.WithDeadline(context.Background(), e.deadline)
	defer cancel()
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	done := make(chan []error, 1)
	go func() { done <- g.awaitAll(ctx, e.views, result.Position) }()
	var errs []error
	select {
	case errs = <-done:
	case <-g.ending:
		leave(errLeaving)
		errs = <-done
	}
	waits := make([]ViewWait, len(errs))
	for i, err := range errs {
		if err != nil && errors.Is(context.Cause(ctx), errLeaving) {
			err = fmt.Errorf("%w: node %s: %w", projector.ErrStopped, g.config.Node, errLeaving)
		}
		waits[i] = outcomeOf(e.views[i], err)
		if waits[i].Code == CodeInternal {
			g.config.Logger.Error("wait for a view failed", "view", e.views[i], "err", err)
		}
	}
	return waits
}
