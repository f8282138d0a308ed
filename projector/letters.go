package projector

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// DeadLetters returns the streams that are parked for the view's models, the
// oldest parking first. It asks the log how many events wait in each. After an order
// of unknown outcome they are as they are stored.
//
// Errors, as of all that follow: [ErrNoView], [ErrElsewhere] where the view does
// not run, [ErrTimeout] if its models are not open before ctx ends,
// [store.ErrUnavailable].
func (g *Group) DeadLetters(ctx context.Context, view string) ([]DeadLetter, error) {
	var all []*addressed
	err := g.eachWorker(ctx, view, func(w *worker, m remembered) {
		for _, l := range m.letters {
			all = append(all, &addressed{w, *l})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *addressed) int { return cmp.Compare(a.letter.First, b.letter.First) })
	letters := make([]DeadLetter, len(all))
	for i, a := range all {
		if letters[i], err = a.counted(ctx); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

// LetterEvents returns the events of a parked stream that wait, in order, at most
// limit, 0 meaning 100 and 1000 the most.
//
// Errors beside those of [Group.DeadLetters]: [ErrNoLetter].
func (g *Group) LetterEvents(ctx context.Context, view, id string, limit int) ([]LetterEvent, error) {
	const usual, most = 100, 1000
	if limit <= 0 {
		limit = usual
	}
	a, err := g.letter(ctx, view, id)
	if err != nil {
		return nil, err
	}
	q := a.worker.queue(ctx, &a.letter, a.upTo())
	defer q.stop()
	next, _, err := q.peek(min(limit, most))
	if err != nil {
		return nil, err
	}
	events := make([]LetterEvent, len(next))
	for i, n := range next {
		events[i] = a.worker.p.show(n.event)
	}
	return events, nil
}

// Retry applies the events of a parked stream in order, up to where the view is,
// and releases the stream: then the DeadLetter is the zero value. If one of them
// cannot be applied the stream waits at that one, and the letter is as it is now.
// When ctx ends it goes on all the same.
//
// Errors beside those of [Group.DeadLetters]: [ErrNoLetter], [ErrUnfinished],
// [ErrBusy], [ErrStopped]; [*ElsewhereError] if the worker that parked the stream is in
// another group, which it names; [store.ErrUnknown] if it was begun and ctx ended, or it
// was interrupted, perhaps after a part of it was stored. After all others nothing was.
func (g *Group) Retry(ctx context.Context, view, id string) (DeadLetter, error) {
	return g.change(ctx, view, id, func(ctx context.Context, r *run, l *letter) error {
		if err := r.w.unfinished(l); err != nil {
			return refusal{err}
		}
		return r.redeliver(ctx, l)
	})
}

// Edit gives the event that a parked stream waits at other data, for this model
// and from the next try on: JSON, as its type's fields are named. at is the event's
// version, so that nobody edits another than they saw. The data are in the schema
// that the event was stored in, in which [Group.LetterEvents] shows it. The log keeps
// the event as it is. by is who says so.
//
// Errors beside those of [Group.Retry]: [store.ErrConflict] if the stream waits at
// another event, [store.ErrInvalid] if the data are not of its type.
func (g *Group) Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error {
	_, err := g.change(ctx, view, id, func(ctx context.Context, r *run, l *letter) error {
		if err := l.waitsAt(at); err != nil {
			return refusal{err}
		}
		event, err := r.accepts(ctx, l, data)
		if err != nil {
			return err
		}
		kept, err := r.sealEdit(ctx, l, event, data)
		if err != nil {
			return err
		}
		edited := *l
		edited.Edited, edited.By = slices.Clone(kept), by
		err = r.keep(ctx, l, &edited, changes{})
		if isUnfit(err) {
			return refusal{err}
		}
		return err
	})
	return err
}

// accepts returns the event that the stream waits at, and refuses data that could not
// stand in for its own.
func (r *run) accepts(ctx context.Context, l *letter, data json.RawMessage) (e store.Recorded[[]byte], err error) {
	q := r.w.queue(ctx, l, r.stored.Position)
	defer q.stop()
	next, _, err := q.peek(1)
	if err != nil {
		return e, err
	}
	if len(next) == 0 {
		return e, refusal{fmt.Errorf("%w: %s waits at no event any more", ErrNoLetter, l.Stream)}
	}
	e = next[0].event
	if err := r.w.p.def.shower(r.w.p.cfg.Log.Codec()).accept(e, data); err != nil {
		return e, refusal{err}
	}
	return e, nil
}

// Skip leaves out the event that a parked stream waits at, records that with the
// reason and who says so, and goes on as [Group.Retry] does with the events after
// it. at is the event's version, so that nobody skips another than they saw, nor, who
// asks twice, the next one. The errors are those of Retry, [store.ErrConflict] if the
// stream waits at another event, and [store.ErrInvalid] without a reason.
func (g *Group) Skip(ctx context.Context, view, id string, at uint64, reason, by string) (DeadLetter, error) {
	if reason == "" {
		return DeadLetter{}, &store.InvalidError{What: "reason", Value: reason, Reason: "an event is skipped for a reason"}
	}
	return g.change(ctx, view, id, func(ctx context.Context, r *run, l *letter) error {
		if err := cmp.Or(l.waitsAt(at), r.w.unfinished(l)); err != nil {
			return refusal{err}
		}
		return r.skipFirst(ctx, l, reason, by)
	})
}

// Skipped returns the events that were left out of the view's models, in the order
// of their positions. The errors are those of [Group.DeadLetters].
func (g *Group) Skipped(ctx context.Context, view string) ([]Skipped, error) {
	var all []Skipped
	err := g.eachWorker(ctx, view, func(_ *worker, m remembered) {
		for _, s := range m.skipped {
			all = append(all, s)
		}
	})
	slices.SortFunc(all, func(a, b Skipped) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.String(), b.String()), cmp.Compare(a.Worker, b.Worker))
	})
	return all, err
}

// show returns the event with its data as JSON where that can be had.
func (p *projection) show(e store.Recorded[[]byte]) LetterEvent {
	shown := LetterEvent{
		At: e.Version, Position: e.Position, Event: e.Type, Time: e.Time, Shredded: store.ShreddedIn(p.cfg.Log.Codec(), e.Data),
	}
	if p.def != nil {
		data, err := p.def.shower(p.cfg.Log.Codec()).show(e)
		if err == nil {
			shown.Data = data
			return shown
		}
	}
	shown.Raw = e.Data
	return shown
}

// addressed is a letter as it was when it was looked up, and whose it is.
type addressed struct {
	worker *worker
	letter letter
}

// upTo is how far the worker had come.
func (a *addressed) upTo() store.Position {
	a.worker.p.mu.Lock()
	defer a.worker.p.mu.Unlock()
	return a.worker.stored.Position
}

// counted is the dead letter with the number of events that wait. The loop has
// counted those that it passed over itself; the others are in the log.
func (a *addressed) counted(ctx context.Context) (DeadLetter, error) {
	const step = 1000
	d := a.letter.DeadLetter
	var err error
	if d.Edited, _, err = a.letter.openEdit(ctx, a.worker.p.cfg.Keyring); err != nil {
		return d, err
	}
	if a.letter.seen > 0 {
		d.Queued = a.letter.seen - d.At
		return d, nil
	}
	q := a.worker.queue(ctx, &a.letter, a.upTo())
	defer q.stop()
	for {
		next, then, err := q.peek(step)
		if err != nil {
			return d, err
		}
		if len(next) > 0 {
			d.Queued = next[len(next)-1].event.Version - d.At
		}
		if then == nil {
			return d, nil
		}
		q.drop(len(next))
	}
}

// eachWorker calls look, with the lock held, for each worker of each model of the
// view that is open, once the live one is, with what is known to be stored of its
// letters.
func (g *Group) eachWorker(ctx context.Context, view string, look func(w *worker, m remembered)) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	if _, _, _, err := f.at(ctx, 0); err != nil {
		return err
	}
	for _, p := range f.all() {
		if err := p.readAway(ctx); err != nil {
			return err
		}
		err := p.consult(ctx, p.workers, func(w *worker, m remembered) {
			if p.isOpen() {
				look(w, m)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// letter finds the one of that id.
func (g *Group) letter(ctx context.Context, view, id string) (found *addressed, err error) {
	err = g.eachWorker(ctx, view, func(w *worker, m remembered) {
		if l := m.byID(id); l != nil {
			found = &addressed{w, *l}
		}
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%w: %q of view %s", ErrNoLetter, id, view)
	}
	return found, err
}

// Letter returns the dead letter of that id: where the view runs, and where the
// worker does that parked the stream, see [Config.Spread].
//
// Errors beside those of [Group.DeadLetters]: [ErrNoLetter].
func (g *Group) Letter(ctx context.Context, view, id string) (DeadLetter, error) {
	f, err := g.family(view)
	if err != nil {
		return DeadLetter{}, err
	}
	a, err := f.posted(ctx, id)
	if err == nil && a == nil {
		a, err = g.letter(ctx, view, id)
	}
	if err != nil {
		return DeadLetter{}, err
	}
	return a.counted(ctx)
}

// posted finds the letter of that id with the workers that do their work by themselves
// here, nil if none of them has it.
func (f *family) posted(ctx context.Context, id string) (*addressed, error) {
	for _, o := range f.outposts {
		if a, err := o.letter(ctx, id); a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}

// reachable finds the letter of that id if its worker is in this group.
func (g *Group) reachable(ctx context.Context, view, id string) (*addressed, error) {
	f, err := g.family(view)
	if err != nil {
		return nil, err
	}
	if a, err := f.posted(ctx, id); a != nil || err != nil {
		return a, err
	}
	a, err := g.letter(ctx, view, id)
	switch {
	case err != nil:
		return nil, err
	case a.worker.remote() && a.worker.p.isHeld():
		return nil, f.errorf(ErrPaused)
	case a.worker.remote():
		return nil, &ElsewhereError{View: view, Duty: a.worker.duty()}
	}
	return a, nil
}

// change has the letter's worker do something with it, and returns the letter as
// it is then. What was done was done: if the events that wait then cannot be counted
// they are not.
func (g *Group) change(ctx context.Context, view, id string, do func(ctx context.Context, r *run, l *letter) error) (DeadLetter, error) {
	a, err := g.reachable(ctx, view, id)
	if err != nil {
		return DeadLetter{}, err
	}
	err = a.worker.ask(ctx, func(ctx context.Context, r *run) error {
		l := r.w.byID(id)
		if l == nil {
			return refusal{fmt.Errorf("%w: %q of view %s", ErrNoLetter, id, view)}
		}
		return do(ctx, r, l)
	})
	if err != nil {
		return DeadLetter{}, err
	}
	a.worker.p.mu.Lock()
	l := a.worker.byID(id)
	if l != nil {
		a.letter = *l
	}
	a.worker.p.mu.Unlock()
	if l == nil {
		return DeadLetter{}, nil
	}
	if d, err := a.counted(ctx); err == nil {
		return d, nil
	}
	a.letter.Edited = nil // it may be sealed
	return a.letter.DeadLetter, nil
}

// waitsAt refuses what is meant for another event.
func (l *letter) waitsAt(at uint64) error {
	if l.At != at {
		return &store.ConflictError{Stream: l.Stream, Expected: at, Actual: l.At}
	}
	return nil
}

// byID returns the letter, nil if there is none.
func (m remembered) byID(id string) *letter {
	for _, l := range m.letters {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// unfinished refuses what concerns a letter while another has documents ahead of
// it: they remember one parking only.
func (w *worker) unfinished(but *letter) error {
	for _, l := range w.letters {
		if l.Through > 0 && l.ID != but.ID {
			return fmt.Errorf("%w: retry %s (%s) first", ErrUnfinished, l.ID, l.Stream)
		}
	}
	return nil
}

// skipFirst leaves out the event that the stream waits at and goes on.
func (r *run) skipFirst(ctx context.Context, l *letter, reason, by string) error {
	q := r.w.queue(ctx, l, r.stored.Position)
	next, then, err := q.peek(1)
	q.stop()
	if err != nil {
		return err
	}
	if len(next) == 0 {
		return r.release(ctx, l)
	}
	moved, err := r.leaveOut(ctx, l, next[0], then, l.Error, reason, by)
	if err != nil || moved == nil {
		return err
	}
	return r.redeliver(ctx, moved)
}
