package projector

import (
	"context"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// load opens the view, reads the checkpoint and makes sure that it belongs to
// this definition and is not ahead of the log, whose head it returns.
func (r *run) load(ctx context.Context) (head store.Position, err error) {
	desc := r.w.p.desc
	if r.view, err = r.w.p.open(ctx); err != nil {
		return 0, err
	}
	if r.stored, err = r.view.Load(ctx, r.w.name); err != nil {
		return 0, err
	}
	r.w.loaded(r.stored)
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
		head, err := r.w.p.cfg.Log.Tip(ctx, r.w.p.desc.Types...)
		if err != nil || has <= head {
			return head, err
		}
		if try == headTries {
			return 0, &store.AheadError{What: "view " + r.w.p.desc.Name, Has: has, Log: head}
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
	commits, err := r.feed.Next(ctx, r.w.p.cfg.BatchCommits)
	if err != nil {
		return nil, err
	}
	if len(commits) == 0 || commits[0].Sequence != r.stored.Position.Sequence() || Hash(commits[0].Hash) != r.stored.Commit {
		return nil, &DivergedError{View: r.w.p.desc.Name, Position: r.stored.Position}
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
