package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// trial kills the projector of one store.
type trial struct {
	store   string
	options childOptions
	dir     string
	bench   *bench
	book    *book
	tell    io.Writer
}

// killed is what came of a trial.
type killed struct {
	Kills int `json:"kills"`
	// InCommit is how many of them fell between the begin and the end of a commit.
	InCommit int `json:"in_commit"`
	// CatchUps is how often the views were brought from nothing to the log's end.
	CatchUps int `json:"catch_ups"`
	// Documents is how many documents were compared, over all catch-ups.
	Documents int `json:"documents"`
	// Differences is how many documents and checkpoints are not what they must be.
	Differences int `json:"differences"`
	// Planted is how many of the two differences that were planted were found.
	Planted int     `json:"planted_found"`
	Seconds float64 `json:"seconds"`
}

// run makes so many kills, lets the last child finish, and checks.
func (t *trial) run(ctx context.Context, kills int, next func() moment) (k killed, err error) {
	began := time.Now()
	for {
		caughtUp := k.Kills >= kills
		if caughtUp {
			err = t.finish(ctx)
		} else {
			caughtUp, err = t.life(ctx, next(), &k)
		}
		if err != nil {
			return k, err
		}
		if !caughtUp {
			continue
		}
		if err := t.check(ctx, &k); err != nil {
			return k, err
		}
		if k.Kills >= kills {
			break
		}
		if err := t.drop(ctx); err != nil {
			return k, err
		}
	}
	if k.Planted, err = t.control(ctx); err != nil {
		return k, err
	}
	k.Seconds = time.Since(began).Seconds()
	return k, t.drop(ctx)
}

// life starts a child and kills it at its moment, unless it comes to the log's
// end before.
func (t *trial) life(ctx context.Context, m moment, k *killed) (caughtUp bool, err error) {
	p, err := startChild(t.dir, t.options, m.commits)
	if err != nil {
		return false, err
	}
	if m.commits > 0 {
		select {
		case <-p.reached:
		case <-p.ended:
		case <-ctx.Done():
		}
	}
	timer := time.NewTimer(m.after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ended:
	case <-ctx.Done():
	}
	select {
	case <-p.ended: // by itself
		_, err := p.finish(ctx)
		return true, err
	default:
	}
	p.kill()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if p.done != nil {
		return true, nil // it had finished, and was about to end
	}
	k.Kills++
	if p.begun > p.finished {
		k.InCommit++
	}
	return false, nil
}

// finish lets a child come to the log's end.
func (t *trial) finish(ctx context.Context) error {
	p, err := startChild(t.dir, t.options, 0)
	if err != nil {
		return err
	}
	_, err = p.finish(ctx)
	return err
}

// check compares what is kept with the log.
func (t *trial) check(ctx context.Context, k *killed) error {
	differences, documents, err := t.differences(ctx)
	if err != nil {
		return err
	}
	k.CatchUps++
	k.Documents += documents
	k.Differences += len(differences)
	t.say("%s: caught up after %d kills, %d documents, %d differences", t.store, k.Kills, documents, len(differences))
	const told = 10
	for _, d := range differences[:min(told, len(differences))] {
		t.say("  %s", d)
	}
	return nil
}

func (t *trial) differences(ctx context.Context) (all []string, documents int, err error) {
	err = t.with(func(keep projector.Store) error {
		all, documents, err = t.book.compare(ctx, keep, t.options.workers)
		return err
	})
	return all, documents, err
}

// control spoils one document and one checkpoint, and returns how many of the
// two are found.
func (t *trial) control(ctx context.Context) (int, error) {
	err := t.with(func(keep projector.Store) error { return spoil(ctx, keep) })
	if err != nil {
		return 0, fmt.Errorf("plant differences: %w", err)
	}
	found, _, err := t.differences(ctx)
	return len(found), err
}

// drop removes the views, so that the next child begins with nothing.
func (t *trial) drop(ctx context.Context) error {
	return t.with(func(keep projector.Store) error {
		for _, d := range t.options.projections() {
			if err := forgetName(ctx, t.options.address, t.options.namespace, d.Describe().Name); err != nil {
				return err
			}
			if err := keep.Drop(ctx, modelOf(d.Describe().Name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// with opens the store for as long as do works on it: no child has it open
// meanwhile.
func (t *trial) with(do func(projector.Store) error) error {
	keep, closed, err := openStore(t.options.address, t.bench.conn, t.options.namespace)
	if err != nil {
		return err
	}
	err = do(keep)
	if closeErr := closed(); err == nil {
		err = closeErr
	}
	return err
}

func (t *trial) say(format string, v ...any) { _, _ = fmt.Fprintf(t.tell, format+"\n", v...) }

// modelOf is the first model of a view, which is what a new group makes.
func modelOf(view string) projector.Model { return projector.Model{View: view, Version: 1} }

// book is a log, and what its views must be.
type book struct {
	commits []*store.Commit
	want    map[string]map[string]projector.Document
}
