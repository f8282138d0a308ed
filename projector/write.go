package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// settle decides when what is folded is written: while live as soon as the
// view has rested from its last write, while catching up every so often.
func (r *run) settle(ctx context.Context) error {
	if r.folded.Position == r.stored.Position {
		r.written = r.taken
		r.w.looked(r.left(), r.isLive())
		return nil
	}
	now := time.Now()
	at := now.Add(r.w.p.cfg.FlushEvery)
	if r.isLive() && r.rested.Before(at) {
		at = r.rested
	}
	if r.flushAt.IsZero() || at.Before(r.flushAt) {
		r.flushAt = at
	}
	if now.Before(r.flushAt) {
		return nil
	}
	return r.write(ctx)
}

// rest notes that a write has ended.
func (r *run) rest(took time.Duration, commits uint64) {
	r.w.p.meter.batches.Observe(took.Seconds())
	r.rested = time.Now().Add(restAfter(took, commits, r.w.p.cfg.MaxLinger))
}

// restAfter returns how long a view rests after a write that took so long and
// held so many commits: not at all after a single one, for then there is time;
// twice as long as the write after many.
func restAfter(took time.Duration, commits uint64, most time.Duration) time.Duration {
	const many, share = 8, 4
	parts := min(max(commits, 1)-1, many)
	return max(0, min(took*time.Duration(parts)/share, most))
}

// left returns how many commits the log held beyond those that are folded.
func (r *run) left() uint64 {
	if len(r.staged) > 0 {
		return r.known - r.staged[0].nth + 1
	}
	return r.known - r.taken
}

// isLive says whether what comes is written as it comes. That begins when
// nothing is left, and ends when more is left than one batch.
func (r *run) isLive() bool {
	switch left := r.left(); {
	case left == 0:
		r.live = true
	case left > uint64(r.w.p.cfg.BatchCommits):
		r.live = false
	}
	return r.live
}

// flush folds and writes everything.
func (r *run) flush(ctx context.Context) error {
	if err := r.fold(ctx); err != nil {
		return err
	}
	return r.write(ctx)
}

// write stores what changed, the notes and the checkpoint. It is not cut short
// when ctx ends: what was folded is worth keeping.
func (r *run) write(ctx context.Context) error {
	r.flushAt = time.Time{}
	if r.folded.Position == r.stored.Position {
		return nil
	}
	began := time.Now()
	if err := r.writeFolded(ctx); err != nil {
		r.refused = true
		return r.unfit(err)
	}
	left := r.left()
	commits := r.known - left - r.written
	r.rest(time.Since(began), commits)
	r.w.committed(r.stored, commits, left, r.isLive())
	r.written = r.known - left
	r.feed.Acknowledge(r.stored.Position)
	r.again.wrote()
	return nil
}

func (r *run) writeFolded(ctx context.Context) error {
	changes, err := r.folder.pending()
	if err != nil {
		return err
	}
	if changes.documents, err = r.writeAhead(ctx, changes.documents); err != nil {
		return err
	}
	next := r.folded
	next.Furthest = 0
	if r.stored.Furthest > next.Position {
		next.Furthest = r.stored.Furthest // there are still documents ahead
	}
	before := r.stored.Events
	if err := r.commit(ctx, next, changes, r.notes...); err != nil {
		return err
	}
	if r.w.nth == 0 { // all workers pass the same events
		r.w.p.meter.events.Add(float64(r.stored.Events - before))
	}
	r.folded, r.fresh, r.notes = r.stored, nil, nil
	r.folder.clean()
	r.scrub.coming = r.scrub.coming && len(r.staged) > 0
	return nil
}

// commit stores a checkpoint, with its revision being that of the one before, and
// what belongs to it.
func (r *run) commit(ctx context.Context, next Checkpoint, c changes, notes ...Note) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.w.p.cfg.CommitTimeout)
	defer cancel()
	next.Revision = r.stored.Revision
	if len(c.documents) > 0 || c.apply != nil {
		if err := r.forgotten(); err != nil {
			return err
		}
	}
	var err error
	if c.documents, err = r.w.p.box.seal(ctx, c.documents); err != nil {
		return fmt.Errorf("view %s: commit: %w", r.w.p.desc.Name, err)
	}
	r.takesOut()
	began := time.Now()
	next, err = r.view.Commit(ctx, Write{Checkpoint: next, Documents: c.documents, Notes: notes, Apply: c.apply})
	if c.apply != nil {
		r.again.took(time.Since(began), err)
	}
	switch {
	case err == nil:
		r.stored, r.took, r.w.wrote = next, time.Since(began), next.Revision
		r.w.p.changes.committed(next, c.documents)
	case errors.Is(err, store.ErrUnknown), errors.Is(err, ErrFenced):
		r.w.doubt()
	}
	return err
}

// unfit blames the event whose outcome cannot be stored. If several were applied
// since the last write, each is to be written by itself to find it.
func (r *run) unfit(err error) error {
	if blamed(err) != nil || !isUnfit(err) {
		return err
	}
	switch len(r.fresh) {
	case 0:
		return err
	case 1:
		e := r.fresh[0].EventError
		return r.w.p.desc.fault().handler(e, err)
	}
	return &steppedError{&unfitError{err}, r.folded.Position}
}

// writeAhead stores documents that are too many for one commit, all but the
// last ones, beside the checkpoint as it was. It comes to this when a single
// event touches so many, and while catching up. If it ends halfway, each of them
// is ahead of the checkpoint and skips the events that it has when those are
// applied again.
func (r *run) writeAhead(ctx context.Context, docs []Document) ([]Document, error) {
	for most := r.view.MaxChanges(); len(docs)+len(r.notes) > most && len(docs) > 0; {
		n := min(most, len(docs))
		same := r.stored
		same.Furthest = max(same.Furthest, r.folded.Position)
		if err := r.commit(ctx, same, changes{documents: docs[:n]}); err != nil {
			return nil, err
		}
		docs = docs[n:]
	}
	return docs, nil
}
