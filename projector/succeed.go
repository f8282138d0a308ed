package projector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
)

// succeeds reports whether a newer version of a reaction takes the place of the
// one that is live. A reaction is not built beside another: both would react.
func (f *family) succeeds(e Entry) bool {
	def := f.defs[f.newest]
	return def.Describe().kind == ofReactions && f.newest > e.Live.Version && e.Live.View != "" && !e.Paused
}

// succeed has the newest version of a reaction go on where the one before it is,
// which does not run here any more. Until the registry names the new one all this
// is done again by whoever runs the view next.
func (m *manager) succeed(ctx context.Context, e Entry) error {
	f := m.f
	next := f.begin(e, Rebuild{Version: f.newest}).Live
	if err := f.inherit(ctx, e.Live, next); err != nil {
		return fmt.Errorf("begin %s where %s is: %w", next, e.Live, err)
	}
	err := f.change(ctx, func(now Entry) (Entry, error) {
		if now.Live.Model != e.Live.Model || !f.succeeds(now) {
			return now, errNothing
		}
		return now.succeed(next), nil
	})
	if err == nil {
		f.logger.Info("reaction goes on as another version", "model", next.String(), "from", e.Live.String())
	}
	return err
}

// inherit gives a model the checkpoints of another, and what it knows of parked
// streams. Where the number of workers changed, all begin at the earliest.
func (f *family) inherit(ctx context.Context, from, to Kept) error {
	was, err := f.cfg.Store.Open(ctx, from.Layout())
	if err != nil {
		return err
	}
	is, err := f.cfg.Store.Open(ctx, to.Layout())
	if err != nil {
		return err
	}
	all, known, err := legacy(ctx, was, from)
	if err != nil || !begun(all) {
		return err // the next one begins where its definition says
	}
	earliest := slices.MinFunc(all, func(a, b Checkpoint) int { return cmp.Compare(a.Position, b.Position) })
	for nth := range to.Workers {
		at := earliest
		if len(all) == to.Workers {
			at = all[nth]
		}
		if !slices.Equal(from.Types, to.Types) {
			at.Commit = Hash{} // that commit is perhaps none of its types
		}
		notes, err := known.of(to.Model, part{nth: nth, of: to.Workers})
		if err != nil {
			return err
		}
		if err := f.beginAt(ctx, is, from, to, nth, at, notes); err != nil {
			return err
		}
	}
	return nil
}

// begun brings a worker that has no checkpoint to where it would have begun, which is
// where the others did: what came since then concerns it, and nobody has done it. It
// reports whether any worker has begun.
func begun(all []Checkpoint) bool {
	var first *Checkpoint
	for i := range all {
		if c := &all[i]; c.Revision > 0 && (first == nil || c.From < first.From) {
			first = c
		}
	}
	if first == nil {
		return false
	}
	for i := range all {
		if all[i].Revision == 0 {
			all[i].From, all[i].Position = first.From, first.From
		}
	}
	return true
}

// legacy is what a model's workers leave.
func legacy(ctx context.Context, v View, k Kept) ([]Checkpoint, remembered, error) {
	var all []Checkpoint
	known := newRemembered()
	for nth := range max(k.Workers, 1) {
		c, err := v.Load(ctx, strconv.Itoa(nth))
		if err != nil {
			return nil, known, err
		}
		all = append(all, c)
		notes, err := v.Notes(ctx, c.Worker)
		if err != nil {
			return nil, known, err
		}
		for _, n := range notes {
			if err := known.recall(n); err != nil {
				return nil, known, err
			}
		}
	}
	return all, known, nil
}

// beginAt stores what a worker begins with, also before the first event: a worker
// without a checkpoint would begin where its definition says. The model that is to begin
// runs nowhere as long as the registry names the one before it. That is asked
// after the revision is known, so whoever was paused here for long, while another
// did all this and more, is told so or fenced.
func (f *family) beginAt(ctx context.Context, v View, from, to Kept, nth int, at Checkpoint, notes []Note) error {
	now, err := v.Load(ctx, strconv.Itoa(nth))
	if err != nil {
		return err
	}
	e, revision, err := f.cfg.Registry.Load(ctx, f.name)
	if err != nil {
		return err
	}
	if e.Live.Model != from.Model {
		f.hear(e, revision)
		return errNothing
	}
	if now.Position > at.Position {
		return fmt.Errorf("worker %s is at position %d, not before %d: %w", now.Worker, now.Position, at.Position, ErrFenced)
	}
	next := Checkpoint{
		Worker: now.Worker, Version: to.Version, Types: to.Types, Workers: to.Workers,
		From: at.Position, Position: at.Position, Time: at.Time, Commit: at.Commit, Revision: now.Revision,
	}
	for {
		n := min(len(notes), v.MaxChanges())
		if next, err = v.Commit(ctx, Write{Checkpoint: next, Notes: notes[:n]}); err != nil || n == len(notes) {
			return err
		}
		notes = notes[n:]
	}
}

// of returns the notes as they are those of another model's worker.
func (m remembered) of(model Model, p part) ([]Note, error) {
	var notes []Note
	worker := strconv.Itoa(p.nth)
	for _, l := range m.byPosition() {
		if !p.stream(l.Stream) {
			continue
		}
		l := *l
		l.Model, l.Worker, l.ID = model, worker, letterID(model, worker, l.Stream, l.First)
		n, err := l.note()
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	for _, s := range m.skipped {
		if !p.stream(s.Stream) {
			continue
		}
		s.Model, s.Worker = model, worker
		n, err := s.note()
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, nil
}
