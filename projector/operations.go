package projector

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/annals-go/annals/store"
)

// The operations below change what the registry says of a view, and the group
// that runs the view acts on it: what was begun is carried on by whoever runs
// the view next. All of them are for the group that runs the view. Errors that
// they share:
//   - [ErrNoView], [ErrStopped], and [ErrElsewhere] for a view that does not run here.
//   - [store.ErrUnavailable]: the registry could not be asked.
//   - [store.ErrUnknown], beside any other: the registry may have taken the change.
//   - [ErrTimeout], or ctx's error: ctx ended first.

// Rebuild has the view built again from the first event and returns the new
// model. It does not wait for that: see [Group.Status]. Further errors:
//   - [ErrCandidate]: there is a candidate already; [ErrRebuilding]: the view is
//     being built again in place.
//   - [ErrPaused]: the view is paused.
//   - [store.ErrAhead], or what else keeps the live model from being read, if
//     documents are to be compared with it.
//   - [store.ErrInvalid]: the version is not in this process, or the options are
//     not for this kind of view; reactions are never built again.
func (g *Group) Rebuild(ctx context.Context, view string, r Rebuild) (Model, error) {
	f, err := g.family(view)
	if err != nil {
		return Model{}, err
	}
	if r.Online && r.Parity != 0 {
		if err := f.unserved(); err != nil {
			return Model{}, fmt.Errorf("view %s: nothing can be compared with its live model; build without: %w", view, err)
		}
	}
	var made Model
	err = f.change(ctx, func(e Entry) (Entry, error) {
		r := r
		if r.Version == 0 {
			r.Version = e.Live.Version
		}
		switch {
		case e.Paused:
			return e, f.errorf(ErrPaused)
		case e.Candidate != nil:
			return e, f.errorf(fmt.Errorf("%w: %s", ErrCandidate, e.Candidate.Model))
		case e.inPlace():
			return e, f.errorf(ErrRebuilding)
		case e.Settling:
			return e, errSettling
		}
		if err := f.buildable(r); err != nil {
			return e, err
		}
		next := f.begin(e, r)
		made = next.Live.Model
		if r.Online {
			made = next.Candidate.Model
		}
		return next, nil
	})
	if err != nil {
		return Model{}, err
	}
	f.logger.Info("rebuild begins", "model", made.String(), "online", r.Online)
	return made, nil
}

// unserved returns why the live model must not be read, nil if it may be.
func (f *family) unserved() error {
	f.mu.Lock()
	live := f.live
	f.mu.Unlock()
	if live == nil {
		return nil
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	for _, w := range live.workers {
		if w.unserved != nil {
			return w.unserved
		}
	}
	return nil
}

// buildable returns why a rebuild cannot be done, nil if it can.
func (f *family) buildable(r Rebuild) error {
	def := f.defs[r.Version]
	if def == nil {
		return &store.InvalidError{What: "version", Value: strconv.Itoa(r.Version), Reason: "view " + f.name + " has no such definition here"}
	}
	invalid := func(reason string) error {
		return &store.InvalidError{What: "rebuild", Value: def.Describe().String(), Reason: reason}
	}
	switch kind := def.Describe().kind; {
	case kind == ofReactions:
		return invalid("a reaction is not built again: it would react again")
	case r.Parity < -1:
		return invalid("parity is -1 for all documents, 0 for none, or how many")
	case r.Parity != 0 && !r.Online:
		return invalid("only a model that is built beside the live one can be compared with it")
	case r.Parity != 0 && kind != ofDocuments:
		return invalid("only documents can be compared")
	}
	return nil
}

func (f *family) errorf(err error) error { return fmt.Errorf("view %s: %w", f.name, err) }

// Promote makes the candidate the live model, and the live one the previous.
// From its return on every read is answered by the new one. It is refused with
// [*ParityError] if the candidate has not caught up or differs from the live
// model, unless force says that it is to be done in any case; then reads wait
// until it has caught up. Further errors: [ErrNoCandidate], [ErrPaused].
func (g *Group) Promote(ctx context.Context, view string, force bool) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	var wanted Model
	return f.changeOnce(ctx, &wanted, func(e Entry) (Entry, error) {
		if !claims(&wanted, e.Candidate) {
			return e, f.errorf(ErrNoCandidate)
		}
		switch {
		case e.Paused:
			return e, f.errorf(ErrPaused)
		case e.Settling:
			return e, errSettling
		}
		known := f.defs[e.Candidate.Version] != nil
		if err := f.check(e); err != nil && (!force || !known) {
			return e, err
		}
		return e.promote(), nil
	})
}

// Rollback makes the previous model the live one again, and the live one the
// previous, so that a second call undoes the first. It does not compare anything.
// Further errors: [ErrNoPrevious], also if the previous model's definition is not
// in this process, so that nobody keeps it up to date; [ErrRebuilding] while the
// view is built in place, see [Group.Cancel]; [ErrPaused].
func (g *Group) Rollback(ctx context.Context, view string) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	var wanted Model
	return f.changeOnce(ctx, &wanted, func(e Entry) (Entry, error) {
		switch {
		case e.inPlace():
			return e, f.errorf(ErrRebuilding)
		case !claims(&wanted, e.Previous):
			return e, f.errorf(ErrNoPrevious)
		case f.defs[e.Previous.Version] == nil:
			return e, fmt.Errorf("%w: version %d is not known here", f.errorf(ErrNoPrevious), e.Previous.Version)
		case e.Paused:
			return e, f.errorf(ErrPaused)
		}
		return e.rollback(), nil
	})
}

// changeOnce changes the entry so that the wanted model is the live one, which next
// chooses when it is called first. It is called again if others changed the entry;
// if that model is live by then, it is done: next would undo it.
func (f *family) changeOnce(ctx context.Context, wanted *Model, next func(Entry) (Entry, error)) error {
	err := f.change(ctx, func(e Entry) (Entry, error) {
		if wanted.View != "" && e.Live.Model == *wanted {
			return e, errNothing
		}
		return next(e)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// claims reports whether k is the wanted model, which it becomes if none is yet.
func claims(wanted *Model, k *Kept) bool {
	if k != nil && wanted.View == "" {
		*wanted = k.Model
	}
	return k != nil && k.Model == *wanted
}

// Cancel gives up the model that is being built, and drops it. If it was built
// in place, the one before is served again. Where the live version's definition
// is not in this process, its successor is begun anew. Further errors:
// [ErrNoCandidate].
func (g *Group) Cancel(ctx context.Context, view string) error {
	return g.changeView(ctx, view, Entry.cancel)
}

// Retire drops the model that is kept for a roll-back. Further errors:
// [ErrNoPrevious].
func (g *Group) Retire(ctx context.Context, view string) error {
	return g.changeView(ctx, view, func(e Entry) (Entry, error) {
		if e.Settling && !e.inPlace() {
			return e, errSettling
		}
		return e.retire()
	})
}

// Pause stops bringing the view up to date, here and wherever it runs, also
// after a restart, until [Group.Resume]. What there is may be read; who wants more
// gets [ErrPaused]. When it returns nil all workers have stopped, on whatever node
// they were, or can write nothing any more; if that is not sure, the error matches
// [store.ErrUnknown]. Pausing twice is no error, and is how to make sure.
func (g *Group) Pause(ctx context.Context, view string) error {
	if err := g.setPaused(ctx, view, true); err != nil {
		return err
	}
	return g.byName[view].standStill(ctx)
}

// Resume ends a pause. It is no error if there is none.
func (g *Group) Resume(ctx context.Context, view string) error { return g.setPaused(ctx, view, false) }

func (g *Group) setPaused(ctx context.Context, view string, paused bool) error {
	return g.changeView(ctx, view, func(e Entry) (Entry, error) {
		if e.Paused == paused {
			return e, errNothing
		}
		e.Paused = paused
		return e, nil
	})
}

func (g *Group) changeView(ctx context.Context, view string, next func(Entry) (Entry, error)) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	err = f.change(ctx, func(e Entry) (Entry, error) {
		e, err := next(e)
		if err != nil {
			err = f.errorf(err)
		}
		return e, err
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}
