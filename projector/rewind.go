package projector

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/annals-go/annals/store"
)

// Rewind has an SQL view or a reaction begin again after the event at position
// to: events after it are applied once more, to tables as they are. It is for those
// who know what that does. Streams that were parked later are not parked any more.
// A position that the view has not reached is refused with [store.ErrInvalid], and
// so are views of documents, which can be built again ([Group.Rebuild]). Workers are
// rewound one after the other: an error that matches [store.ErrUnknown] says that some
// may be. To rewind once more is how to make sure. After all others none is.
func (g *Group) Rewind(ctx context.Context, view string, to store.Position) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	e, _, err := f.current(ctx)
	if err != nil {
		return err
	}
	p := f.model(e.Live.Model)
	switch {
	case p == nil, p.def == nil:
		return fmt.Errorf("%w: the definition of view %s is not here", store.ErrUnavailable, view)
	case p.desc.kind == ofDocuments:
		return &store.InvalidError{What: "view", Value: view, Reason: "documents cannot be rewound: rebuild the view"}
	}
	release, err := f.halt(ctx, p.model)
	if err != nil {
		return err
	}
	defer release()
	if err := p.rewind(ctx, to); err != nil {
		return fmt.Errorf("rewind view %s: %w", view, err)
	}
	f.logger.Warn("view rewound", "model", p.model.String(), "position", uint64(to))
	return nil
}

// halt ends what keeps a model up to date, until release is called.
func (f *family) halt(ctx context.Context, m Model) (release func(), err error) {
	f.mu.Lock()
	f.halted[m]++
	halted := f.halted
	f.mu.Unlock()
	f.kick()
	release = func() {
		f.mu.Lock()
		halted[m]--
		f.mu.Unlock()
		f.kick()
	}
	for {
		f.mu.Lock()
		runs, here, changed := f.running[m] != rests, !f.away && !f.finished, f.changes()
		f.mu.Unlock()
		switch {
		case !here:
			release()
			return nil, f.elsewhere()
		case !runs:
			return release, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			release()
			return nil, &TimeoutError{View: f.name, Cause: ctx.Err()}
		}
	}
}

// rewind asks all workers first, so that none is rewound if one is not to be. From the
// first commit on that may be stored, every error says that it may.
func (p *projection) rewind(ctx context.Context, to store.Position) error {
	opened, err := p.cfg.Store.Open(ctx, p.desc.layout(p.model))
	v := &turned{View: opened}
	for i := 0; err == nil && i < len(p.workers); i++ {
		_, err = p.workers[i].rewindable(ctx, v, to)
	}
	for i := 0; err == nil && i < len(p.workers); i++ {
		err = p.workers[i].rewind(ctx, v, to)
	}
	if err != nil && v.maybe {
		err = fmt.Errorf("%w: a worker may be rewound already: %w", store.ErrUnknown, err)
	}
	return err
}

// turned is a view that knows whether a commit was stored by way of it, or may have been.
type turned struct {
	View
	maybe bool
}

// Commit implements [View].
func (v *turned) Commit(ctx context.Context, w Write) (Checkpoint, error) {
	c, err := v.View.Commit(ctx, w)
	v.maybe = v.maybe || err == nil || errors.Is(err, store.ErrUnknown)
	return c, err
}

// rewind writes the checkpoint that the worker had after the event at position
// to. It does not run here. Where it may run elsewhere, its writes and these refuse
// each other, until this one was the faster; it goes on from there.
func (w *worker) rewind(ctx context.Context, v View, to store.Position) error {
	c, err := w.rewindable(ctx, v, to)
	if err != nil {
		return err
	}
	back := c
	back.Proof, back.Position, back.Commit, back.Furthest = Proof{}, c.From, Hash{}, 0
	err = scan(ctx, w.p.cfg.Log, w.p.desc.Types, c.From, to, func(commit *store.Commit, e store.Recorded[[]byte]) error {
		back.Add(e.Position, e.ID)
		back.Position, back.Time, back.Commit = e.Position, e.Time, Hash(commit.Hash)
		return nil
	})
	if err != nil {
		return err
	}
	err = w.turnBack(ctx, v, back)
	for try := 1; w.remote() && errors.Is(err, ErrFenced) && try < sealTries; try++ {
		if c, err = w.rewindable(ctx, v, to); err == nil {
			back.Revision = c.Revision
			err = w.turnBack(ctx, v, back)
		}
	}
	return err
}

// rewindable returns the worker's checkpoint if it may be rewound to that position.
func (w *worker) rewindable(ctx context.Context, v View, to store.Position) (Checkpoint, error) {
	c, err := v.Load(ctx, w.name)
	if err != nil {
		return c, err
	}
	if to > c.Position || to < c.From {
		reason := fmt.Sprintf("worker %s has been between %d and %d", w.name, c.From, c.Position)
		return c, &store.InvalidError{What: "position", Value: strconv.FormatUint(uint64(to), 10), Reason: reason}
	}
	return c, nil
}

// turnBack stores a checkpoint and removes what is known of streams that were
// parked, and of events that were skipped, after it.
func (w *worker) turnBack(ctx context.Context, v View, back Checkpoint) error {
	notes, err := v.Notes(ctx, w.name)
	if err != nil {
		return err
	}
	known, err := recall(notes)
	if err != nil {
		return err
	}
	var gone []Note
	for _, l := range known.letters {
		if l.First > back.Position {
			gone = append(gone, l.gone())
		}
	}
	for _, s := range known.skipped {
		if s.Position > back.Position {
			n, err := s.note()
			if err != nil {
				return err
			}
			gone = append(gone, Note{Key: n.Key})
		}
	}
	for {
		n := min(len(gone), v.MaxChanges())
		next, err := v.Commit(ctx, Write{Checkpoint: back, Notes: gone[:n]})
		if err != nil || n == len(gone) {
			return err
		}
		back, gone = next, gone[n:]
	}
}
