package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

const (
	// resumeAfter is how old a forgetting is before another node goes on with it: whoever takes its
	// steps is done by then, or waits for a node. Two that take them come to the same.
	resumeAfter = time.Minute
	// resumeEvery is how often it is looked for such ones.
	resumeEvery = 5 * time.Second
	// maxUnfinished bounds how many forgettings are kept in mind to go on with; others are found
	// at the next start.
	maxUnfinished = 100_000
)

// unfinished is a data subject with forgettings that are not done.
type unfinished struct {
	record privacy.Record
	// left: they were there when this node looked first, so whoever began them may be dead.
	left bool
}

// due reports whether a forgetting is to be gone on with.
func (u *unfinished) due(e privacy.Erasure) bool {
	return !e.Done && (u.left || time.Since(e.At) >= resumeAfter)
}

func isOpen(e privacy.Erasure) bool { return !e.Done }

// run goes on with forgettings that were begun and not finished, until ctx ends.
func (f *forgetting) run(ctx context.Context) error {
	open := make(chan unfinished)
	var follow errgroup.Group
	follow.Go(func() error {
		f.lookOut(ctx, open)
		return nil
	})
	follow.Go(func() error {
		f.lookRounds(ctx)
		return nil
	})
	follow.Go(func() error {
		f.compare(ctx)
		return nil
	})
	f.resume(ctx, open)
	return follow.Wait()
}

// lookOut passes on every record with a forgetting that is not done: those that there are, and every
// record that changes.
func (f *forgetting) lookOut(ctx context.Context, open chan<- unfinished) {
	tell := func(r privacy.Record, left bool) {
		select {
		case open <- unfinished{r.Bare(), left}:
		case <-ctx.Done():
		}
	}
	for looked := false; ctx.Err() == nil; {
		err := f.keys.Follow(ctx, func(r privacy.Record) { tell(r, false) }, func() {
			if looked {
				return
			}
			looked = true
			for r, err := range f.keys.All(ctx) {
				if err != nil {
					looked = false // with the next sign of life
					return
				}
				if slices.ContainsFunc(r.Erased, isOpen) {
					tell(r, true)
				}
			}
		})
		if err != nil && ctx.Err() == nil {
			looked = false // what changed meanwhile was missed
			if errors.Is(err, privacy.ErrMoved) {
				continue
			}
			f.logger.Warn("forgettings that were not finished cannot be looked for", "err", err)
			pauseFor(ctx, resumeEvery)
		}
	}
}

// compare compares the key store with the log, once, if this node is the one to go on with forgettings:
// what was put back is forgotten again though nobody reads it.
func (f *forgetting) compare(ctx context.Context) {
	for pauseFor(ctx, resumeEvery); ctx.Err() == nil; pauseFor(ctx, resumeEvery) {
		if !f.resumes() {
			continue
		}
		mended, err := f.keyring.Compare(ctx)
		if mended > 0 {
			f.logger.Error("key records lacked erasures that the log has notices of, and have them again", "records", mended)
		}
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case !errors.Is(err, store.ErrUnavailable):
			f.logger.Error("key store and log do not agree", "err", err)
			return
		}
		f.logger.Warn("key store cannot be compared with the log", "err", err)
		pauseFor(ctx, resumeAfter)
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// resume finishes those of the records, if this node is the one to do it.
func (f *forgetting) resume(ctx context.Context, open <-chan unfinished) {
	known := map[string]unfinished{}
	tick := time.NewTicker(resumeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-open:
			subject := u.record.Subject
			u.left = u.left || known[subject].left
			delete(known, subject)
			if slices.ContainsFunc(u.record.Erased, isOpen) && len(known) < maxUnfinished {
				known[subject] = u
			}
		case <-tick.C:
			if f.resumes() {
				f.finishAll(ctx, known)
			}
		}
	}
}

// lookRounds notes which nodes there are, whatever is being finished meanwhile: those that are gone
// when somebody is forgotten may not be so for long.
func (f *forgetting) lookRounds(ctx context.Context) {
	for ctx.Err() == nil {
		f.lookRound(ctx)
		pauseFor(ctx, resumeEvery)
	}
}

func (f *forgetting) lookRound(ctx context.Context) {
	if f.alone {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, resumeEvery)
	defer cancel()
	if nodes, err := f.sessions(ctx); err == nil {
		delete(nodes, f.node.Name)
		f.seen.note(nodes, time.Now())
	}
}

// resumes reports whether this is the node that goes on: the one that has the first partition.
func (f *forgetting) resumes() bool {
	_, here := f.placement().Owner(0)
	return here
}

// finishAll finishes what is due. What was finished is forgotten here at once: nothing else tells of a
// record that was changed by this node before it was followed.
func (f *forgetting) finishAll(ctx context.Context, known map[string]unfinished) {
	for subject, u := range known {
		waits := false
		for _, e := range u.record.Erased {
			if !u.due(e) {
				waits = waits || !e.Done
				continue
			}
			if err := f.finish(ctx, subject, e); err != nil {
				if ctx.Err() == nil {
					f.logger.Warn("forgetting not finished", "id", e.ID, "err", withoutSubject(err))
				}
				return // this one and the others in a while
			}
			f.logger.Info("forgetting finished that somebody else began", "id", e.ID)
		}
		if !waits {
			delete(known, subject)
		}
	}
}

func (f *forgetting) finish(ctx context.Context, subject string, e privacy.Erasure) error {
	ctx, cancel := context.WithTimeout(ctx, resumeAfter)
	defer cancel()
	_, err := f.forgetter.Forget(ctx, privacy.Request{Subject: subject, ID: e.ID})
	return err
}

// withoutSubject is the cause of a step's failure: logs do not name who was forgotten.
func withoutSubject(err error) error {
	if e, ok := errors.AsType[*privacy.StepError](err); ok {
		return fmt.Errorf("step %s: %w", e.Step, e.Err)
	}
	return err
}
