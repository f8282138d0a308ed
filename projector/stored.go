package projector

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

// How often a model that others bring up to date, or nobody does, is looked at:
// while somebody waits for it, and while nobody does.
const (
	attendSoon = 100 * time.Millisecond
	attendNow  = time.Second
)

// attend lets the model be read as it is stored, until ctx ends.
func (p *projection) attend(ctx context.Context) {
	var v View
	failures := 0
	for ctx.Err() == nil {
		var err error
		if v == nil {
			v, err = p.open(ctx)
		}
		if err == nil {
			err = p.refresh(ctx, v)
		}
		if err == nil {
			failures = 0
			p.nap(ctx)
			continue
		}
		v = nil
		failures++
		p.mu.Lock()
		for _, w := range p.workers {
			w.err = err
		}
		p.mu.Unlock()
		pause(ctx, jittered(50*time.Millisecond, 5*time.Second, failures))
	}
}

func (p *projection) nap(ctx context.Context) {
	p.mu.Lock()
	every := attendNow
	if len(p.waiters) > 0 {
		every = attendSoon
	}
	p.mu.Unlock()
	pause(ctx, every)
}

// refresh takes in the checkpoints as they are stored.
func (p *projection) refresh(ctx context.Context, v View) error {
	for _, w := range p.workers {
		c, err := v.Load(ctx, w.name)
		if err != nil {
			return err
		}
		if err := (&run{w: w, view: v}).recall(ctx); err != nil {
			return err
		}
		head, err := (&run{w: w}).head(ctx, max(c.Position, c.Furthest))
		if err != nil {
			w.reject(err)
			return err
		}
		notes, err := v.Notes(ctx, w.name)
		if err != nil {
			return err
		}
		m, err := recall(notes)
		if err != nil {
			return err
		}
		w.recalled(m)
		w.attended(v, c)
		p.mu.Lock()
		p.sawHead(head)
		p.moved()
		p.mu.Unlock()
	}
	return nil
}

func (w *worker) attended(v View, c Checkpoint) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.passive = true
	w.view, w.stored, w.state, w.err, w.unserved = v, c, StateLive, nil, nil
	w.covered = max(w.covered, c.Position)
	w.p.changes.begin(c)
}

// reject notes that the model must not be read, if that is what err says.
func (w *worker) reject(err error) {
	if !errors.Is(err, store.ErrAhead) {
		return
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.unserved = err
	w.p.waiters.fail(err)
}
