package projector

import (
	"context"
	"errors"
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
	w      *worker
	view   View
	feed   store.Feed
	folder folder
	again  *retry

	stored  Checkpoint // as it is in the store
	folded  Checkpoint // as it will be once everything folded is written
	staged  []mark     // of the events that the folder has staged
	flushAt time.Time  // when what is folded has to be written; zero if nothing waits
	rested  time.Time  // when the view may write again while live
	live    bool       // nothing was left, and not much has come since

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

// errTold ends an attempt between two events, because its time is over.
var errTold = errors.New("told to stop")

// follow begins at the checkpoint and applies what the log delivers, until
// something fails or ctx ends; then it writes what is folded, and no more.
func (w *worker) follow(ctx context.Context, again *retry) error {
	r := &run{w: w, folder: w.p.def.folder(w.p.cfg.Log.Codec(), w.part()), again: again}
	head, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.feed, err = w.p.cfg.Log.Follow(ctx, store.Follow{Name: w.feed(), After: before(r.stored.Position), Types: w.p.desc.Types})
	if err != nil {
		return err
	}
	defer func() { _ = r.feed.Close() }() // the server releases what it held in any case
	commits, err := r.first(ctx)
	if err != nil {
		return err
	}
	r.live = head <= r.stored.Position
	w.resumed(r.view, r.stored, head)
	if len(commits) == 0 {
		commits, err = r.next(ctx)
	}
	for err == nil {
		if err = r.apply(ctx, commits); err == nil {
			commits, err = r.next(ctx)
		}
	}
	if errors.Is(err, errTold) {
		return r.write(ctx)
	}
	return err
}

// next returns the next commits. While something waits to be written it waits
// no longer than that may; then it writes and waits on.
func (r *run) next(ctx context.Context) ([]*store.Commit, error) {
	for {
		commits, err := r.poll(ctx)
		due := !r.flushAt.IsZero() && !time.Now().Before(r.flushAt)
		switch {
		case err == nil:
			return commits, nil
		case ctx.Err() != nil:
			return nil, errTold
		case !due:
			return nil, err
		}
		if err := r.flush(ctx); err != nil {
			return nil, err
		}
	}
}

func (r *run) poll(ctx context.Context) ([]*store.Commit, error) {
	if !r.flushAt.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.flushAt)
		defer cancel()
	}
	return r.feed.Next(ctx, r.w.p.cfg.BatchCommits)
}

// apply folds the commits and writes when it is time. Without commits the
// feed has passed over others, and the view is perhaps not behind any more.
func (r *run) apply(ctx context.Context, commits []*store.Commit) error {
	r.known = r.taken + uint64(len(commits)) + r.feed.Pending()
	for _, c := range commits {
		if ctx.Err() != nil {
			return errTold
		}
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
		if ctx.Err() != nil {
			return errTold
		}
	}
	r.folder.trim(r.w.p.cfg.CachedDocuments)
	return nil
}

// fetch loads the documents that staged events touch and memory has not.
func (r *run) fetch(ctx context.Context) error {
	for keys := range slices.Chunk(r.folder.missing(), r.view.MaxChanges()) {
		docs, err := r.view.Get(ctx, keys, r.stored)
		if ctx.Err() != nil {
			return errTold
		}
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
