package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// feedBatch is how many commits are taken from a feed at once.
	feedBatch = 512
	// silence is how long a log may deliver nothing, though it has more, before it is
	// asked whether it is there and followed again: longer than an election takes. One
	// that answers and delivers nothing silences times is taken for one that cannot.
	silence  = 30 * time.Second
	silences = 2
	// resumptions is how often a feed that broke off is followed again without any
	// progress.
	resumptions = 5
)

// silentError says that the log ends later than it delivers.
type silentError struct{ after, end uint64 }

func (e *silentError) Error() string {
	return fmt.Sprintf("the log ends at sequence %d, but nothing after sequence %d was delivered in %v", e.end, e.after, silences*silence)
}

// Unwrap makes the error match [store.ErrUnavailable]: what is silent may be slow.
func (e *silentError) Unwrap() error { return store.ErrUnavailable }

// follow calls each with all commits after a position up to another, which the log
// has, in order. A feed that breaks off is followed again from where it was.
func follow(ctx context.Context, log store.Log, after, to store.Position, each func(*store.Commit) error) error {
	for tries, quiet := 0, 0; after.Sequence() < to.Sequence(); {
		before := after
		err := followOnce(ctx, log, &after, to, each)
		if after > before {
			tries, quiet = 0, 0
		}
		if silent, is := errors.AsType[*silentError](err); is {
			if quiet++; quiet == silences {
				return err
			}
			if err := answers(ctx, log, silent); err != nil {
				return err
			}
			continue
		}
		if tries++; err != nil && (final(err) || ctx.Err() != nil || tries > resumptions) {
			return err
		}
	}
	return nil
}

// answers returns an error that says that a silent log cannot be asked either, which
// tells nothing of what it has.
func answers(ctx context.Context, log store.Log, silent *silentError) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	_, err := log.Tip(ctx)
	if err != nil {
		err = fmt.Errorf("nothing after sequence %d was delivered, and the log does not answer: %w", silent.after, err)
	}
	return err
}

// final reports whether following again cannot help.
func final(err error) bool {
	var own *ownError
	return !errors.Is(err, store.ErrUnavailable) || errors.As(err, &own)
}

func followOnce(ctx context.Context, log store.Log, after *store.Position, to store.Position, each func(*store.Commit) error) (err error) {
	feed, err := log.Follow(ctx, store.Follow{After: *after})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, feed.Close()) }()
	for after.Sequence() < to.Sequence() {
		commits, err := next(ctx, feed, *after, to)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if c.Sequence > to.Sequence() {
				return nil
			}
			if err := each(c); err != nil {
				return &ownError{err}
			}
			*after = c.Last()
		}
	}
	return nil
}

// next waits for commits, but not for ever.
func next(ctx context.Context, feed store.Feed, after, to store.Position) ([]*store.Commit, error) {
	bounded, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	commits, err := feed.Next(bounded, feedBatch)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil, &silentError{after: after.Sequence(), end: to.Sequence()}
	}
	return commits, err
}

// ownError is an error of what was done with a commit: following again does not
// help.
type ownError struct{ reason error }

func (e *ownError) Error() string { return e.reason.Error() }
func (e *ownError) Unwrap() error { return e.reason }
