package projector

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

// Namer is a [Store] in which other programs can ask for a view under a name that
// has neither version nor build, and so stays when another model is served.
type Namer interface {
	Store
	// Name makes the view's own name stand for the model, in one step for whoever
	// asks under it. It costs little where it does already. A name that stands for
	// something that no store made is refused with [store.ErrInvalid]; the
	// model must have been opened once, or the error matches [store.ErrNotFound].
	Name(ctx context.Context, model Model) error
}

// nameEvery is how often it is made sure that a view's name stands for the live
// model: a process that was suspended may have named another one meanwhile.
const nameEvery = 30 * time.Second

// names keeps the view's own name on the live model until ctx ends. A view that
// is built again in place keeps its name on the model before until it has caught up.
func (f *family) names(ctx context.Context) {
	namer, able := f.cfg.Store.(Namer)
	if !able {
		return
	}
	for failures := 0; ctx.Err() == nil; {
		model, changed := f.toBeNamed()
		again := nameEvery
		if model.View != "" {
			if err := namer.Name(ctx, model); err == nil {
				failures = 0
			} else if ctx.Err() == nil {
				failures++
				again = jittered(100*time.Millisecond, nameEvery, failures)
				if !errors.Is(err, store.ErrNotFound) { // or else it is just being opened
					f.logger.Warn("view's name does not stand for its live model", "model", model.String(), "err", err, "retry_in", again)
				}
			}
		}
		timer := time.NewTimer(again)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// toBeNamed returns the model that the view's name is to stand for, none if that
// is not known yet, and what is closed when that may have changed.
func (f *family) toBeNamed() (Model, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live == nil || f.running[f.live.model] == rests || f.entry.inPlace() {
		return Model{}, f.changes()
	}
	return f.live.model, f.changes()
}
