package projector

import (
	"container/heap"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/annals-go/annals/store"
)

// How often a waiting caller has the log asked whether anything for the view
// is left before the position it wants. The first time is late enough that a
// view which is merely a moment behind costs the log nothing.
const (
	firstProbe = 50 * time.Millisecond
	lastProbe  = 500 * time.Millisecond
)

// patience is how long a position may be beyond the log's end before it is
// refused: a replica that answers for the log may be a moment behind.
const patience = time.Second

// waiter is one caller that waits for the view to cover a position.
type waiter struct {
	want  store.Position
	wake  context.CancelFunc // ends the wait, and what is asked on its behalf
	err   error              // nil if the position is covered; set before wake is called
	index int                // in the heap, -1 when out of it
}

// waiters are those who wait, the lowest position first.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].want < w[j].want }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

// Push implements heap.Interface.
func (w *waiters) Push(x any) {
	it := x.(*waiter)
	it.index = len(*w)
	*w = append(*w, it)
}

// Pop implements heap.Interface.
func (w *waiters) Pop() any {
	last := len(*w) - 1
	it := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	it.index = -1
	return it
}

func (w *waiters) end(err error) {
	it := heap.Pop(w).(*waiter)
	it.err = err
	it.wake()
}

// reached ends the wait of everybody whose position is covered.
func (w *waiters) reached(covered store.Position) {
	for len(*w) > 0 && (*w)[0].want <= covered {
		w.end(nil)
	}
}

// fail ends everybody's wait.
func (w *waiters) fail(err error) {
	for len(*w) > 0 {
		w.end(err)
	}
}

func (w *waiters) remove(it *waiter) {
	if it.index >= 0 {
		heap.Remove(w, it.index)
	}
}

// at waits until the view is open and covers want, and returns it with the
// checkpoints that readers must see.
func (p *projection) at(ctx context.Context, want store.Position) (View, []Checkpoint, error) {
	for {
		waiting, wake := context.WithCancel(ctx)
		v, c, it, err := p.enqueue(want, wake)
		if it != nil {
			err = p.wait(waiting, it)
		}
		wake()
		if it == nil || err != nil {
			return v, c, err
		}
	}
}

// enqueue returns the view if it is as far as wanted, and otherwise who waits for
// it now.
func (p *projection) enqueue(want store.Position, wake context.CancelFunc) (View, []Checkpoint, *waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone != nil:
		return nil, nil, nil, p.gone
	case p.unserved() != nil:
		return nil, nil, nil, p.unserved()
	case p.isOpen() && want <= p.covered():
		return p.workers[0].view, p.since(), nil, nil
	case p.finished:
		return nil, nil, nil, ErrStopped
	case len(p.waiters) >= p.cfg.MaxWaiters:
		return nil, nil, nil, ErrBusy
	}
	it := &waiter{want: want, wake: wake}
	heap.Push(&p.waiters, it)
	select {
	case p.sought <- struct{}{}:
	default:
	}
	return nil, nil, it, nil
}

// wait returns when the waiter was woken, or ctx has ended without that.
func (p *projection) wait(ctx context.Context, it *waiter) error {
	began, every := time.Now(), firstProbe
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.over(ctx, it)
		case <-timer.C:
			err := p.probe(ctx, it.want, time.Since(began) >= patience)
			if err == nil && time.Since(began) >= lastProbe {
				err = p.unmoved()
			}
			if err != nil {
				return p.giveUp(it, err)
			}
			every = min(2*every, lastProbe)
			timer.Reset(every)
		}
	}
}

// giveUp ends a wait with err, unless it has ended already.
func (p *projection) giveUp(it *waiter, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.index < 0 {
		return it.err
	}
	p.waiters.remove(it)
	return err
}

// unmoved says that there is no point in waiting: what is open is not brought
// any further, for the view is paused.
func (p *projection) unmoved() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held || !p.isOpen() {
		return nil
	}
	return fmt.Errorf("view %s is at position %d: %w", p.desc.Name, p.covered(), ErrPaused)
}

// over returns why a wait has ended: as the group says, or because the caller's
// time is up.
func (p *projection) over(ctx context.Context, it *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.index < 0 {
		return it.err
	}
	p.waiters.remove(it)
	return &TimeoutError{View: p.desc.Name, Want: it.want, Has: p.least().Position, Reason: p.err(), Cause: ctx.Err()}
}

// probe asks the log how far the view really has to be: it covers a position
// when all events of its types up to there are in it, and want may be the
// position of another type's event. The log's end is asked for first: what
// followed types have up to there, they have when they are asked afterwards.
//
// With refuse, a position beyond the log's end is an error. A log that cannot
// be asked is none: the caller waits on.
func (p *projection) probe(ctx context.Context, want store.Position, refuse bool) error {
	if !p.probing.TryLock() {
		return nil // somebody else asks, and what they learn wakes this caller too
	}
	defer p.probing.Unlock()
	end, err := p.cfg.Log.Tip(ctx)
	if err != nil {
		return nil
	}
	if end < want {
		if refuse {
			return &store.InvalidError{
				What: "position", Value: strconv.FormatUint(uint64(want), 10), Reason: fmt.Sprintf("the log ends at %d", end),
			}
		}
		return nil
	}
	head, err := p.cfg.Log.Tip(ctx, p.desc.Types...)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sawHead(head)
	if !p.isOpen() || p.unserved() != nil {
		return nil
	}
	for _, w := range p.workers {
		if w.stored.Position >= head {
			w.covered = max(w.covered, end)
		}
	}
	p.moved()
	return nil
}
