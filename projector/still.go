package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// stillGrace is how long workers elsewhere have to hear that they are to stop, and to
// write what they have folded, before their checkpoints are moved on: who is late
// loses nothing but the work, and a reaction would react again.
const stillGrace = 250 * time.Millisecond

// sealTries bounds how often a checkpoint is moved on whose worker is faster.
const sealTries = 50

// standStill returns nil when nobody brings the view's models up to date any more,
// which the registry has to say already: nobody here, and nobody elsewhere, also not
// who has not heard of it.
func (f *family) standStill(ctx context.Context) error {
	err := f.awaitStill(ctx)
	if err == nil && f.cfg.Spread {
		pause(ctx, stillGrace)
		err = f.seal(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: view %s is paused, but a worker may not have stopped yet: %w", store.ErrUnknown, f.name, err)
	}
	return nil
}

func (f *family) seal(ctx context.Context) error {
	for _, p := range f.all() {
		if err := p.seal(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitStill waits until no model is brought up to date in this group, but by those
// who ask the registry before each attempt.
func (f *family) awaitStill(ctx context.Context) error {
	for {
		f.mu.Lock()
		moving, here, changed := false, !f.away && !f.finished, f.changes()
		for _, mode := range f.running {
			moving = moving || mode == advances
		}
		f.mu.Unlock()
		switch {
		case !here:
			return f.elsewhere()
		case !moving:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &TimeoutError{View: f.name, Cause: ctx.Err()}
		}
	}
}

// seal moves the checkpoint of each worker on, as it is. Who knew the one before is
// refused by the store from then on, and whoever reads the new one asks the registry
// after that, and hears that there is nothing to do.
func (p *projection) seal(ctx context.Context) error {
	v, err := p.open(ctx)
	if errors.Is(err, errDropped) {
		return nil
	}
	for i := 0; err == nil && i < len(p.workers); i++ {
		err = p.workers[i].seal(ctx, v)
	}
	return err
}

func (w *worker) seal(ctx context.Context, v View) (err error) {
	for range sealTries {
		var c Checkpoint
		if c, err = v.Load(ctx, w.name); err != nil {
			return err
		}
		if c.Revision == 0 && w.p.desc.kind == ofReactions && w.p.desc.from == "" {
			return fmt.Errorf("worker %s of %s has no checkpoint, and where it begins is not known here", w.name, w.p.model)
		}
		if c.Revision == 0 {
			if c, err = w.firstCheckpoint(ctx, v, c); err != nil {
				return err
			}
		}
		if _, err = v.Commit(ctx, Write{Checkpoint: c}); !errors.Is(err, ErrFenced) {
			return err
		}
	}
	return err
}

// firstCheckpoint is what the worker would begin with.
func (w *worker) firstCheckpoint(ctx context.Context, v View, c Checkpoint) (Checkpoint, error) {
	d := w.p.desc
	c.Version, c.Types, c.Workers = d.Version, d.Types, d.Workers
	if d.from != FromNow {
		return c, nil
	}
	head, err := w.p.cfg.Log.Tip(ctx, d.Types...)
	if err == nil {
		head, err = w.begin(ctx, v, head)
	}
	c.From, c.Position = head, head
	return c, err
}
