package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// slots are the revisions that one commit takes: a commit's number times slots
// plus the place of a document in it is the document's revision, and the last
// of them is the checkpoint's.
const slots = 1 << 14

// How often a commit is tried, and how long it waits in between.
const (
	tries      = 8
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// Commit implements [projector.View]. What the server may do again with another
// outcome is tried again: a connection that broke, a deadlock. Each attempt
// expects the checkpoint that w names, and waits for what an earlier one may
// still have under way, so one of them at most is stored.
func (v *view) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	p, err := prepare(w)
	if err != nil {
		return projector.Checkpoint{}, v.failed("commit", err)
	}
	var mine []int64 // revisions of attempts that may have been stored
	for try := 0; ; try++ {
		revision, sent, err := v.attempt(ctx, w, p)
		switch {
		case err == nil:
			w.Checkpoint.Revision = uint64(revision)
			return w.Checkpoint, nil
		case sent:
			mine = append(mine, revision)
		case errors.Is(err, projector.ErrFenced) && len(mine) > 0:
			revision, err = v.resolve(ctx, w.Checkpoint.Worker, mine, err)
			if err == nil {
				w.Checkpoint.Revision = uint64(revision)
				return w.Checkpoint, nil
			}
		}
		if !again(ctx, err, try) {
			return projector.Checkpoint{}, v.undecided(p.blame(ctx, v, err), len(mine) > 0)
		}
	}
}

// again reports whether a commit is to be tried once more, after a pause that
// is longer each time and never twice the same.
func again(ctx context.Context, err error, try int) bool {
	if !gone(err) || try+1 >= tries {
		return false
	}
	wait := min(firstPause<<try, lastPause)
	timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// undecided names the end of a commit. That it is fenced is definite; any other
// end is not if an attempt may have been stored.
func (v *view) undecided(err error, pending bool) error {
	if pending && !errors.Is(err, projector.ErrFenced) && !errors.Is(err, store.ErrUnknown) {
		err = fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return v.failed("commit", err)
}

// resolve tells whether the checkpoint that fenced an attempt was written by
// an earlier one, and returns its revision then.
func (v *view) resolve(ctx context.Context, worker string, mine []int64, fenced error) (int64, error) {
	var revision int64
	if err := v.db.QueryRowContext(ctx, v.sql.now, worker).Scan(&revision); err != nil {
		if errors.Is(err, sql.ErrNoRows) || missing(err) {
			return 0, fenced
		}
		return 0, err
	}
	if slices.Contains(mine, revision) {
		return revision, nil
	}
	return 0, fenced
}

// attempt tries the commit once. sent says that it failed in such a way that
// it may have been stored; revision is the checkpoint's then, too.
func (v *view) attempt(ctx context.Context, w projector.Write, p prepared) (revision int64, sent bool, err error) {
	t, err := v.begin(ctx, nil)
	if err != nil {
		return 0, false, err
	}
	defer t.end()
	if revision, err = t.fence(ctx, v, w.Checkpoint, p.checkpoint); err != nil {
		return 0, false, err
	}
	if w.Apply != nil {
		if err := t.call(ctx, func() error { return w.Apply(ctx, t.tx) }); err != nil {
			return 0, false, err
		}
	}
	if err := t.write(ctx, v, w, p, revision); err != nil {
		return 0, false, err
	}
	err = t.tx.Commit()
	return revision, err != nil && !refused(err), err
}
