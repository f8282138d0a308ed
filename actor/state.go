package actor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/annals-go/annals/store"
)

// State is an aggregate instance's state at some moment of its history.
type State struct {
	Stream   store.StreamID
	Version  uint64
	Position store.Position // of the last event that was folded
	Time     time.Time      // of the commit that holds it, in UTC
	// Value is the S of the aggregate; it is the caller's own.
	Value any
}

// At names a moment of a stream's history. The zero At is its end.
type At struct {
	// Version is the last version to fold; 0 means all.
	Version uint64
	// Time leaves out what was stored after it; zero means nothing is left out.
	Time time.Time
}

// State folds a stream to the moment that at names, from the log and without
// touching the live actor. Errors:
//   - [store.ErrNotFound]: the stream had no events then.
//   - [store.ErrInvalid]: at.Version is beyond the stream's end.
//   - [store.ErrUnknownType], [store.ErrUnavailable], [store.ErrDamaged],
//     [store.ErrAhead], [ErrInternal].
func (s *System) State(ctx context.Context, stream store.StreamID, at At) (State, error) {
	if err := stream.Validate(); err != nil {
		return State{}, err
	}
	k, err := s.kindOf(stream)
	if err != nil {
		return State{}, err
	}
	l, err := s.foldTo(ctx, k, stream, at)
	if err != nil {
		return State{}, fmt.Errorf("fold %s: %w", stream, err)
	}
	switch {
	case l.head.Version == 0:
		return State{}, fmt.Errorf("%s: %w", stream, store.ErrNotFound)
	case l.head.Version < at.Version && at.Time.IsZero():
		reason := fmt.Sprintf("%s ends at version %d", stream, l.head.Version)
		return State{}, &store.InvalidError{What: "version", Value: strconv.FormatUint(at.Version, 10), Reason: reason}
	}
	return State{Stream: stream, Version: l.head.Version, Position: l.position, Time: l.time, Value: l.instance.value()}, nil
}

// foldTo folds from a snapshot that is not beyond at, or from the first event.
func (s *System) foldTo(ctx context.Context, k *registered, stream store.StreamID, at At) (*live, error) {
	l, err := s.startBefore(ctx, k, stream, at)
	if err != nil {
		return nil, err
	}
	if l != nil {
		err := s.foldOn(ctx, k, l, stream, at)
		if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, ErrInternal) {
			return l, err
		}
	}
	l = &live{instance: k.newInstance()}
	return l, s.foldOn(ctx, k, l, stream, at)
}

// covers reports whether everything that was folded into l belongs to at.
func (at At) covers(l *live) bool {
	return (at.Version == 0 || l.head.Version <= at.Version) && (at.Time.IsZero() || !l.time.After(at.Time))
}

func (s *System) foldOn(ctx context.Context, k *registered, l *live, stream store.StreamID, at At) error {
	left := trail{system: s, kind: k, stream: stream, passed: l.head.Version}
	for c, err := range s.config.Log.Read(ctx, stream, l.head) {
		if err != nil {
			return err
		}
		if !at.Time.IsZero() && c.Time.After(at.Time) || at.Version != 0 && c.After.Version >= at.Version {
			return nil
		}
		if err := l.foldUntil(c, k, at.Version); err != nil {
			return s.reportPanic(named(err, stream, ""))
		}
		if l.head.Sequence > 0 { // not amid a commit
			left.after(ctx, l)
		}
	}
	return nil
}

// foldUntil folds a commit, up to a version if that lies within it.
func (l *live) foldUntil(c *store.Commit, k *registered, version uint64) error {
	if version == 0 || version >= c.Head().Version {
		return l.fold(c, k)
	}
	n := int(version - c.After.Version)
	for i := range c.Events[:n] {
		if err := l.instance.evolve(c.Events[i]); err != nil {
			return stored(err, c, c.After.Version+uint64(i)+1)
		}
	}
	l.head, l.position, l.time, l.epoch = store.Head{Version: version}, store.PositionOf(c.Sequence, n-1), c.Time, c.Epoch
	return nil
}

// History yields the events of a stream that follow a version, 0 for all of
// them, decoded and in order; Data is the E of the aggregate. An event that this
// build splits is yielded part after part, all with its version, or not at all. The
// last pair has the error, if any: those of [System.State], but for a stream without such
// events, which yields nothing.
func (s *System) History(ctx context.Context, stream store.StreamID, after uint64) iter.Seq2[store.Recorded[any], error] {
	return func(yield func(store.Recorded[any], error) bool) {
		err := s.history(ctx, stream, after, func(r store.Recorded[any]) bool { return yield(r, nil) })
		if err != nil {
			yield(store.Recorded[any]{}, fmt.Errorf("read history of %s: %w", stream, err))
		}
	}
}

func (s *System) history(ctx context.Context, stream store.StreamID, after uint64, yield func(store.Recorded[any]) bool) error {
	if err := stream.Validate(); err != nil {
		return err
	}
	k, err := s.kindOf(stream)
	if err != nil {
		return err
	}
	for c, err := range s.config.Log.Read(ctx, stream, store.Head{}) {
		if err != nil {
			return err
		}
		if c.Head().Version <= after {
			continue
		}
		for raw := range c.Recorded() {
			if raw.Version <= after {
				continue
			}
			more, err := k.history(raw, yield)
			if err != nil {
				return s.reportPanic(named(stored(err, c, raw.Version), stream, ""))
			}
			if !more {
				return nil
			}
		}
	}
	return nil
}
