package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// order is what an operator asks of a worker. The worker's own loop does it, for
// there is one who writes; it does it between two events, with nothing unwritten.
type order struct {
	do   func(ctx context.Context, r *run) error
	done chan error // has room for the outcome
	woke bool       // it has ended a pause
}

// maxOrders bounds how many wait for one worker.
const maxOrders = 100

// ask has the worker's loop do something and returns the error of that, or why it
// was not done. When ctx ends, what has begun is finished all the same: what do
// writes must not be read then, and the error matches [store.ErrUnknown].
func (w *worker) ask(ctx context.Context, do func(ctx context.Context, r *run) error) error {
	o := &order{do: do, done: make(chan error, 1)}
	if err := w.enlist(o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	waited := len(w.orders)
	w.orders = slices.DeleteFunc(w.orders, func(other *order) bool { return other == o })
	timeout := &TimeoutError{View: w.p.desc.Name, Has: w.stored.Position, Reason: w.err, Cause: ctx.Err()}
	if len(w.orders) < waited {
		return timeout
	}
	select {
	case err := <-o.done:
		return err
	default:
		return fmt.Errorf("%w: %w", store.ErrUnknown, timeout)
	}
}

func (w *worker) enlist(o *order) error {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	switch {
	case !w.assigned():
		return fmt.Errorf("view %s: %w", w.p.desc.Name, ErrElsewhere)
	case w.p.ended != nil:
		return w.p.ended
	case w.p.finished:
		return ErrStopped
	case w.p.held:
		return fmt.Errorf("view %s: %w", w.p.desc.Name, ErrPaused)
	case w.p.def == nil:
		return fmt.Errorf("%w: model %s is not kept up to date here", store.ErrUnavailable, w.p.model)
	case len(w.orders) >= maxOrders:
		return ErrBusy
	}
	w.orders = append(w.orders, o)
	if w.wake != nil {
		w.wake()
	}
	return nil
}

// wakeWith says how an order that comes wakes the loop; nil when it does not wait.
// An order that is there already wakes it at once.
func (w *worker) wakeWith(wake context.CancelFunc) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.wake = wake
	if wake != nil && len(w.orders) > 0 {
		wake()
	}
}

// dismiss ends what was asked of workers and not begun. The lock is held.
func (p *projection) dismiss(err error) {
	for _, w := range p.workers {
		for _, o := range w.orders {
			o.done <- err
		}
		w.orders = nil
	}
}

func (w *worker) nextOrder() *order {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if len(w.orders) == 0 {
		return nil
	}
	o := w.orders[0]
	w.orders = slices.Delete(w.orders, 0, 1)
	return o
}

// obey does what was asked for, and before the first of it finishes what an
// earlier attempt left undone. An error of that ends the attempt, unless it
// concerns only who asked.
//
// While documents are ahead of the checkpoint nothing is done: they were folded
// without the streams that wait, so what these have there must be passed over
// again before a stream is released.
func (r *run) obey(ctx context.Context) error {
	if r.isAhead() {
		return nil
	}
	if !r.resumed {
		if err := r.flush(ctx); err != nil {
			return err
		}
		if err := r.resumeLetters(ctx); err != nil {
			return err
		}
		r.resumed = true
	}
	for o := r.w.nextOrder(); o != nil; o = r.w.nextOrder() {
		err := r.flush(ctx)
		before := r.stored.Revision
		if err == nil {
			err = o.do(ctx, r)
		}
		var refused refusal
		concerns := err != nil && !errors.As(err, &refused)
		o.done <- r.told(err, r.stored.Revision != before)
		if concerns {
			return err
		}
	}
	return nil
}

// told is what who asked hears of the error of an order. That it was not carried out
// is said only if none of it is stored.
func (r *run) told(err error, stored bool) error {
	var refused refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		err = refused.error
	default:
		err = fmt.Errorf("%w: view %s: %w", store.ErrUnavailable, r.w.p.desc.Name, err)
	}
	if stored {
		err = fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// rest waits before the next attempt, or until there is an order.
func (w *worker) rest(ctx context.Context, wait func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.p.mu.Lock()
	w.wake = cancel
	for _, o := range w.orders {
		if !o.woke { // once: what stood in the way stands there still
			o.woke = true
			cancel()
		}
	}
	w.p.mu.Unlock()
	defer w.wakeWith(nil)
	wait(ctx)
}
