package projector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// load opens the view, reads the checkpoint and makes sure that it belongs to
// this definition and is not ahead of the log, whose head it returns.
//
// Whether the model is brought up to date at all is asked once the checkpoint is
// known: who has it stand still moves the checkpoint on after saying so, and is then
// sure that nobody writes who was not told.
func (r *run) load(ctx context.Context) (head store.Position, err error) {
	desc := r.w.p.desc
	if r.view, err = r.w.p.open(ctx); err != nil {
		return 0, err
	}
	if r.stored, err = r.view.Load(ctx, r.w.name); err != nil {
		return 0, err
	}
	r.w.loaded(r.stored)
	if confirm := r.w.p.confirm; confirm != nil {
		if err = confirm(ctx, r.w.p.model); err != nil {
			return 0, err
		}
	}
	if err = r.sameDefinition(ctx); err != nil {
		return 0, err
	}
	if head, err = r.head(ctx, max(r.stored.Position, r.stored.Furthest)); err != nil {
		return 0, err
	}
	r.stored.Version, r.stored.Types, r.stored.Workers = desc.Version, desc.Types, desc.Workers
	if err = r.beginNow(ctx, head); err != nil {
		return 0, err
	}
	r.folded = r.stored
	return head, r.recall(ctx)
}

// beginNow writes the first checkpoint of a reaction that is not to react to what
// was there before it, so that it is not another one after a restart.
func (r *run) beginNow(ctx context.Context, head store.Position) error {
	if r.w.p.desc.from != FromNow || r.stored.Revision > 0 {
		return nil
	}
	begin, err := r.w.begin(ctx, r.view, head)
	if err != nil {
		return err
	}
	next := r.stored
	next.From, next.Position = begin, begin
	return r.commit(ctx, next, changes{})
}

// begin is where a worker without a checkpoint begins if its view begins at the log's
// head: where another one has begun before, for what came since then concerns the view.
func (w *worker) begin(ctx context.Context, v View, head store.Position) (store.Position, error) {
	for _, other := range w.p.workers {
		if other == w {
			continue
		}
		c, err := v.Load(ctx, other.name)
		if err != nil {
			return 0, err
		}
		if c.Revision > 0 {
			head = min(head, c.From)
		}
	}
	return head, nil
}

// recall reads which streams are parked.
func (r *run) recall(ctx context.Context) error {
	notes, err := r.view.Notes(ctx, r.w.name)
	if err != nil {
		return err
	}
	m, err := recall(notes)
	if err != nil {
		return fmt.Errorf("view %s: %w", r.w.p.desc.Name, err)
	}
	r.w.recalled(m)
	return nil
}

// sameDefinition makes sure that what is stored was made from the same types and by
// as many workers. The first worker's checkpoint tells also where one's own is not
// there yet.
func (r *run) sameDefinition(ctx context.Context) error {
	desc, was := r.w.p.desc, r.stored
	if _, ok := r.view.(Querier); desc.kind == ofTables && !ok {
		return &store.InvalidError{What: "view", Value: desc.Name, Reason: "the store keeps no tables"}
	}
	if was.Revision == 0 && r.w.nth > 0 {
		var err error
		if was, err = r.view.Load(ctx, r.w.p.workers[0].name); err != nil {
			return err
		}
	}
	if was.Revision == 0 {
		return nil
	}
	if !slices.Equal(was.Types, desc.Types) && was.Position > 0 || max(was.Workers, 1) != desc.Workers {
		return &RedefinedError{View: desc.Name, Was: was.Types, Now: desc.Types, WasWorkers: max(was.Workers, 1), NowWorkers: desc.Workers}
	}
	return nil
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
// the checkpoint is. One that was not made by applying a commit names none.
func (r *run) first(ctx context.Context) ([]*store.Commit, error) {
	if r.stored.Position == 0 || r.stored.Commit == (Hash{}) {
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
