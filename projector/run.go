package projector

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Limits of what is held in memory at once.
const (
	// maxStaged is how many events are decoded before they are folded.
	maxStaged = 4096
	// maxBatchBytes is how many bytes of documents, by their last known sizes,
	// gather before they are written.
	maxBatchBytes = 8 << 20
)

// run is one attempt at a projection, from a checkpoint until an error.
type run struct {
	p      *projection
	view   View
	feed   store.Feed
	folder folder
	again  *retry

	stored  Checkpoint // as it is in the store
	folded  Checkpoint // as it will be once everything folded is written
	staged  []mark     // of the events that the folder has staged
	flushAt time.Time  // when what is folded has to be written; zero if nothing waits
	rested  time.Time  // when the view may write again while live

	// Counts of the feed's commits: those that the log held, those of which every
	// event is staged or folded, those that are written.
	known, taken, written uint64
}

// mark is what a checkpoint takes from an event.
type mark struct {
	position store.Position
	id       uuid.UUID
	time     time.Time
	commit   store.Hash
	nth      uint64 // commit of the feed
}

// follow begins at the checkpoint and applies what the log delivers, until
// ctx ends or something fails. It always returns an error.
func (p *projection) follow(ctx context.Context, again *retry) error {
	r := &run{p: p, folder: p.def.folder(p.cfg.Log.Codec()), again: again}
	head, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.feed, err = p.cfg.Log.Follow(ctx, store.Follow{Name: p.desc.feed(), After: before(r.stored.Position), Types: p.desc.Types})
	if err != nil {
		return err
	}
	defer func() { _ = r.feed.Close() }() // the server releases what it held in any case
	commits, err := r.first(ctx)
	if err != nil {
		return err
	}
	p.resumed(r.view, r.stored, head)
	for {
		if err := r.apply(ctx, commits); err != nil {
			return err
		}
		if commits, err = r.next(ctx); err != nil {
			return err
		}
	}
}

// load opens the view, reads the checkpoint and makes sure that it belongs to
// this definition and is not ahead of the log, whose head it returns.
func (r *run) load(ctx context.Context) (head store.Position, err error) {
	desc := r.p.desc
	if r.view, err = r.p.cfg.Store.Open(ctx, desc.Name, desc.Version); err != nil {
		return 0, err
	}
	if r.stored, err = r.view.Load(ctx, theWorker); err != nil {
		return 0, err
	}
	if was := r.stored.Types; r.stored.Position > 0 && !slices.Equal(was, desc.Types) {
		return 0, &RedefinedError{View: desc.Name, Was: was, Now: desc.Types}
	}
	if head, err = r.head(ctx, max(r.stored.Position, r.stored.Furthest)); err != nil {
		return 0, err
	}
	r.stored.Version, r.stored.Types = desc.Version, desc.Types
	r.folded = r.stored
	return head, nil
}

// What seems to be ahead of the log is looked at again so often: a replica
// that answers for the log may be a moment behind.
const (
	headTries = 5
	headPause = 200 * time.Millisecond
)

// head returns the position of the last event that concerns the view. The
// error matches [store.ErrAhead] if that is before what the view has.
func (r *run) head(ctx context.Context, has store.Position) (store.Position, error) {
	for try := 1; ; try++ {
		head, err := r.p.cfg.Log.Tip(ctx, r.p.desc.Types...)
		if err != nil || has <= head {
			return head, err
		}
		if try == headTries {
			return 0, &store.AheadError{What: "view " + r.p.desc.Name, Has: has, Log: head}
		}
		pause(ctx, headPause)
	}
}

// first returns the first commits of the feed if there is a checkpoint, and
// compares: a log that lost its end and grew again has another commit where
// the checkpoint is.
func (r *run) first(ctx context.Context) ([]*store.Commit, error) {
	if r.stored.Position == 0 {
		return nil, nil
	}
	commits, err := r.feed.Next(ctx, r.p.cfg.BatchCommits)
	if err != nil {
		return nil, err
	}
	if c := commits[0]; c.Sequence != r.stored.Position.Sequence() || Hash(c.Hash) != r.stored.Commit {
		return nil, &DivergedError{View: r.p.desc.Name, Position: r.stored.Position}
	}
	return commits, nil
}

// before returns the position before p, so that the feed begins with the
// commit that the checkpoint names, which is compared and not applied again.
func before(p store.Position) store.Position {
	if p == 0 {
		return 0
	}
	return p - 1
}

// next returns the next commits. While something waits to be written it waits
// no longer than that may; then it writes and waits on.
func (r *run) next(ctx context.Context) ([]*store.Commit, error) {
	for {
		commits, err := r.poll(ctx)
		if err == nil {
			return commits, nil
		}
		due := !r.flushAt.IsZero() && !time.Now().Before(r.flushAt)
		if ctx.Err() == nil && !due {
			return nil, err
		}
		if err := r.flush(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (r *run) poll(ctx context.Context) ([]*store.Commit, error) {
	if !r.flushAt.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.flushAt)
		defer cancel()
	}
	return r.feed.Next(ctx, r.p.cfg.BatchCommits)
}

// apply folds the commits and writes when it is time.
func (r *run) apply(ctx context.Context, commits []*store.Commit) error {
	if len(commits) == 0 {
		return nil
	}
	r.known = r.taken + uint64(len(commits)) + r.feed.Pending()
	for _, c := range commits {
		for e := range c.Recorded() {
			if err := r.take(ctx, c, e); err != nil {
				return err
			}
		}
		r.taken++
	}
	if err := r.fold(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// take stages one event, and folds when enough are staged.
func (r *run) take(ctx context.Context, c *store.Commit, e store.Recorded[[]byte]) error {
	if e.Position <= r.folded.Position {
		return nil
	}
	if e.Position == r.again.alone {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	if err := r.folder.stage(e); err != nil {
		return err
	}
	r.staged = append(r.staged, mark{position: e.Position, id: e.ID, time: e.Time, commit: c.Hash, nth: r.taken + 1})
	if len(r.staged) < maxStaged && e.Position != r.again.alone {
		return nil
	}
	return r.fold(ctx)
}

// fold applies all that is staged, and writes whenever no more may gather.
func (r *run) fold(ctx context.Context) error {
	if err := r.fetch(ctx); err != nil {
		return err
	}
	for len(r.staged) > 0 {
		n, err := r.folder.fold(room{documents: r.view.MaxChanges(), bytes: maxBatchBytes})
		r.advance(n)
		if err != nil {
			return err
		}
		if len(r.staged) == 0 {
			break
		}
		if err := r.write(ctx); err != nil {
			return err
		}
	}
	r.folder.trim(r.p.cfg.CachedDocuments)
	return nil
}

// fetch loads the documents that staged events touch and memory has not.
func (r *run) fetch(ctx context.Context) error {
	for keys := range slices.Chunk(r.folder.missing(), r.view.MaxChanges()) {
		docs, err := r.view.Get(ctx, keys, r.stored)
		if err != nil {
			return err
		}
		if err := r.folder.admit(keys, docs); err != nil {
			return err
		}
	}
	return nil
}

// advance moves the checkpoint-to-be over the first n staged events.
func (r *run) advance(n int) {
	for _, m := range r.staged[:n] {
		r.folded.Add(m.position, m.id)
	}
	if n > 0 {
		last := r.staged[n-1]
		r.folded.Position, r.folded.Time, r.folded.Commit = last.position, last.time, Hash(last.commit)
	}
	r.staged = slices.Delete(r.staged, 0, n)
}

// settle decides when what is folded is written: while live as soon as the
// view has rested from its last write, while catching up every so often.
func (r *run) settle(ctx context.Context) error {
	if r.folded.Position == r.stored.Position {
		r.written = r.taken
		r.p.looked(r.left())
		return nil
	}
	now := time.Now()
	at := now.Add(r.p.cfg.FlushEvery)
	if r.left() == 0 && r.rested.Before(at) {
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

// restAfter returns how long a view rests after a write that took so long.
func restAfter(took, most time.Duration) time.Duration { return max(0, min(2*took, most)) }

// left returns how many commits the log held beyond those that are folded.
func (r *run) left() uint64 {
	if len(r.staged) > 0 {
		return r.known - r.staged[0].nth + 1
	}
	return r.known - r.taken
}

// flush folds and writes everything.
func (r *run) flush(ctx context.Context) error {
	if err := r.fold(ctx); err != nil {
		return err
	}
	return r.write(ctx)
}

// write stores the changed documents and the checkpoint. It is not cut short
// when ctx ends: what was folded is worth keeping.
func (r *run) write(ctx context.Context) error {
	r.flushAt = time.Time{}
	if r.folded.Position == r.stored.Position {
		return nil
	}
	docs, err := r.folder.pending()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.p.cfg.CommitTimeout)
	defer cancel()
	began := time.Now()
	if docs, err = r.writeAhead(ctx, docs); err != nil {
		return err
	}
	next := r.folded
	next.Revision, next.Furthest = r.stored.Revision, 0
	if next, err = r.view.Commit(ctx, next, docs); err != nil {
		return err
	}
	ended := time.Now()
	took := ended.Sub(began)
	r.rested = ended.Add(restAfter(took, r.p.cfg.MaxLinger))
	r.p.meter.batches.Observe(took.Seconds())
	r.p.meter.events.Add(float64(next.Events - r.stored.Events))
	left := r.left()
	r.p.committed(next, r.known-left-r.written, left)
	r.stored, r.folded, r.written = next, next, r.known-left
	r.folder.clean()
	r.feed.Acknowledge(next.Position)
	r.again.succeeded()
	return nil
}

// writeAhead stores documents that are too many for one commit, all but the
// last ones, beside the checkpoint as it was. It comes to this only when a
// single event touches so many. If it ends halfway, each of them is ahead of
// the checkpoint and skips the event when that is applied again.
func (r *run) writeAhead(ctx context.Context, docs []Document) ([]Document, error) {
	for most := r.view.MaxChanges(); len(docs) > most; docs = docs[most:] {
		same := r.stored
		same.Furthest = r.folded.Position
		next, err := r.view.Commit(ctx, same, docs[:most])
		if err != nil {
			return nil, err
		}
		r.stored = next
	}
	return docs, nil
}
