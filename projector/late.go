package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// lateEvents is how many events of a parked stream are applied in one commit.
const lateEvents = 512

// resumeLetters finishes what was interrupted in the middle of its commits, and
// then, if that came to its end, skips what a skip list has learned since:
// documents remember one parking only.
func (r *run) resumeLetters(ctx context.Context) error {
	for _, l := range r.w.byPosition() {
		if l.Through == 0 {
			continue
		}
		if err := r.redeliver(ctx, l); err != nil {
			return err
		}
	}
	for _, l := range r.w.byPosition() {
		if _, listed := r.skipReason(l.Stream, l.At); !listed || r.w.unfinished(l) != nil {
			continue
		}
		if err := r.redeliver(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) skipReason(s store.StreamID, version uint64) (string, bool) {
	reason, ok := r.w.skips[eventAt{s, version}]
	return reason, ok
}

// redeliver applies the events of a parked stream in order, from the one that it
// waits at up to the checkpoint, and releases the stream. If one of them cannot
// be applied the stream waits at that one. What it applied is written, each time
// with where the stream waits then. Nothing may be staged or unwritten.
//
// The error is one that ends the attempt: memory is not to be trusted any more.
func (r *run) redeliver(ctx context.Context, l *letter) error {
	q := r.w.queue(ctx, l, r.stored.Position)
	r.late = q
	defer func() { r.late = nil }()
	defer q.stop()
	for limit := lateEvents; ; {
		if err := r.forgotten(); err != nil {
			return err
		}
		next, then, err := q.peek(min(limit, r.again.events()))
		if ctx.Err() != nil {
			return errTold
		}
		if err != nil {
			return err
		}
		if len(next) == 0 {
			return r.release(ctx, l)
		}
		if reason, listed := r.skipReason(l.Stream, next[0].event.Version); listed {
			if l, err = r.leaveOut(ctx, l, next[0], second(next, then), "", reason, bySkipList); err != nil {
				return err
			}
			q.drop(1)
			if l == nil {
				return nil
			}
			continue
		}
		next, then = r.upToListed(next, then)
		moved, n, err := r.applyLate(ctx, l, next, then)
		if err != nil {
			l = r.w.letters[l.Stream] // it may say by now how far documents are ahead of it
		}
		why := blamed(err)
		switch {
		case err == nil:
			q.drop(n)
			if l = moved; l == nil {
				return nil
			}
			limit = min(2*limit, lateEvents)
		case why != nil && why.Position == next[0].event.Position:
			r.renew()
			return r.stay(ctx, l, why)
		case why != nil:
			r.renew()
			limit = max(1, slices.IndexFunc(next, func(e queued) bool { return e.event.Position == why.Position }))
		case len(next) > 1 && isUnfit(err):
			r.renew()
			limit = 1
		default:
			return err
		}
	}
}

// second is the event after the first of next.
func second(next []queued, then *queued) *queued {
	if len(next) > 1 {
		return &next[1]
	}
	return then
}

// upToListed cuts what is to be applied before the next event of the skip list.
func (r *run) upToListed(next []queued, then *queued) ([]queued, *queued) {
	for i := range next {
		if _, listed := r.skipReason(next[i].event.Stream, next[i].event.Version); listed {
			return next[:i], &next[i]
		}
	}
	return next, then
}

// isUnfit reports whether what was to be stored can never be.
func isUnfit(err error) bool {
	var unfit *unfitError
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
		return false
	}
	return errors.As(err, &unfit) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrInvalid)
}

// applyLate applies events and writes them. It returns how many there were room
// for, and the letter as it is afterwards, nil if then is nil and all were applied.
func (r *run) applyLate(ctx context.Context, l *letter, next []queued, then *queued) (*letter, int, error) {
	n, err := r.foldLate(ctx, l, next)
	if err != nil && (n == 0 || !r.folder.whole()) {
		return nil, 0, err
	}
	var moved *letter
	if n < len(next) {
		moved = l.moved(next[n])
	} else if then != nil {
		moved = l.moved(*then)
	}
	if err := r.writeLate(ctx, l, moved, next[:n]); err != nil {
		return nil, 0, r.unfitLate(err, next)
	}
	if n < len(next) {
		r.renew() // what is staged is staged again
	}
	return moved, n, nil
}

// foldLate applies as many of the events as there is room for. A notice for documents
// is applied by itself.
func (r *run) foldLate(ctx context.Context, l *letter, next []queued) (int, error) {
	if r.tells(&next[0].event) {
		ahead := func(ctx context.Context, docs []Document) error {
			return r.announce(ctx, l, docs, next[0].event.Position, nil)
		}
		return 1, r.tell(ctx, arrival{Recorded: next[0].event, parked: l.First}, ahead)
	}
	for _, q := range next {
		a := arrival{Recorded: q.event, parked: l.First}
		if q.event.Version == l.At && l.Edited != nil {
			var err error
			if a.edited, a.Personal, err = l.openEdit(ctx, r.w.p.cfg.Keyring); err != nil {
				return 0, err
			}
		}
		if err := r.stage(a); err != nil {
			return 0, err
		}
	}
	if err := r.fetch(ctx); err != nil {
		return 0, err
	}
	room := r.room()
	room.documents = max(1, room.documents-1)
	return r.folder.fold(ctx, room)
}

// unfitLate blames the only event for what cannot be stored.
func (r *run) unfitLate(err error, next []queued) error {
	if len(next) == 1 && isUnfit(err) && blamed(err) == nil {
		return r.w.p.desc.fault().handler(eventOf(next[0].event), err)
	}
	return err
}

// writeLate stores what late events changed and where the stream waits now; moved
// is nil if it does not any more. A store that may tear a commit could keep the
// letter's end without the documents. So there the documents come first, and before
// them how far they may get ahead of the letter.
func (r *run) writeLate(ctx context.Context, l, moved *letter, applied []queued) error {
	c, err := r.folder.pending()
	if err != nil {
		return err
	}
	notes := r.notSkipped(applied)
	if len(c.documents) > 0 && r.view.Torn() {
		if err := r.announce(ctx, l, c.documents, applied[len(applied)-1].event.Position, notes); err != nil {
			return err
		}
		c.documents, notes = nil, nil
	}
	if err := r.keep(ctx, l, moved, c, notes...); err != nil {
		return err
	}
	r.folder.clean()
	r.scrub.coming = false
	return nil
}

// notSkipped deletes the records of skipping the events: that was begun, and never
// done.
func (r *run) notSkipped(applied []queued) (notes []Note) {
	for _, q := range applied {
		at := eventAt{q.event.Stream, q.event.Version}
		if _, recorded := r.w.skipped[at]; recorded {
			notes = append(notes, Note{Key: skippedKey(at)})
			r.w.forgetSkipped(at)
		}
	}
	return notes
}

// announce stores what late events changed, ahead of the letter. If the store takes
// none of it the letter is as before: its event may still be skipped.
func (r *run) announce(ctx context.Context, l *letter, docs []Document, through store.Position, notes []Note) error {
	intent := *l
	intent.Through = max(l.Through, through)
	if err := r.keep(ctx, l, &intent, changes{}, notes...); err != nil {
		return err
	}
	stored := 0
	for part := range slices.Chunk(docs, r.view.MaxChanges()) {
		if err := r.commit(ctx, r.stored, changes{documents: part}); err != nil {
			if stored == 0 && isUnfit(err) {
				r.w.remember(l)
			}
			return err
		}
		stored += len(part)
	}
	return nil
}

// keep stores the letter as it is now, nil if the stream is not parked any more,
// in one commit with whatever else is to be stored.
func (r *run) keep(ctx context.Context, was, now *letter, c changes, notes ...Note) error {
	note := was.gone()
	if now != nil {
		var err error
		if note, err = now.note(); err != nil {
			return err
		}
	}
	if err := r.commit(ctx, r.stored, c, append(notes, note)...); err != nil {
		return err
	}
	if now == nil {
		r.w.forget(was)
		r.w.logger.Info("stream released", "stream", was.Stream.String(), "letter", was.ID)
		return nil
	}
	now.seen = max(now.seen, was.seen)
	r.w.remember(now)
	return nil
}

// release notes that nothing waits any more.
func (r *run) release(ctx context.Context, l *letter) error { return r.keep(ctx, l, nil, changes{}) }

// stay notes that the event could not be applied once more.
func (r *run) stay(ctx context.Context, l *letter, why *EventError) error {
	r.w.logger.Warn("stream stays parked", "stream", l.Stream.String(), "event_version", why.Version, "event", why.Type, "err", why.Reason, "letter", l.ID)
	return r.keep(ctx, l, l.failed(why, time.Now().UTC()), changes{})
}

// leaveOut records that the event that the stream waits at is skipped, and moves
// on to the one after it. A store that may tear a commit stores the record first:
// better one too many than an event that nobody sees missing.
func (r *run) leaveOut(ctx context.Context, l *letter, first queued, then *queued, fault, reason, by string) (*letter, error) {
	if l.Through >= first.event.Position {
		return nil, refusal{fmt.Errorf("view %s: skip %s version %d: %w", r.w.p.desc.Name, l.Stream, l.At, errPartly)}
	}
	s := r.skipped(eventOf(first.event), fault, reason, by)
	record, err := s.note()
	if err != nil {
		return nil, err
	}
	var moved *letter
	if then != nil {
		moved = l.moved(*then)
	}
	notes := []Note{record}
	if r.view.Torn() {
		if err := r.commit(ctx, r.stored, changes{}, notes...); err != nil {
			return nil, err
		}
		notes = nil
	}
	if err := r.keep(ctx, l, moved, changes{}, notes...); err != nil {
		return nil, err
	}
	r.w.rememberSkipped(s)
	return moved, nil
}
