package ledger

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// Acts yields what was written down of acts from a time on until another, month by month, each in the
// order of the log. The last pair has the error, if any: that of [store.Log] or of decoding.
func Acts(ctx context.Context, log store.Log, since, until time.Time) iter.Seq2[Act, error] {
	return func(yield func(Act, error) bool) {
		for month := firstOf(since); !month.After(until); month = month.AddDate(0, 1, 0) {
			for a, err := range monthOf(ctx, log, month) {
				if err != nil {
					yield(Act{}, fmt.Errorf("read acts of %s: %w", Month(month), err))
					return
				}
				if !a.At.Before(since) && !a.At.After(until) && !yield(a, nil) {
					return
				}
			}
		}
	}
}

func firstOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// monthOf merges the streams of a month.
func monthOf(ctx context.Context, log store.Log, month time.Time) iter.Seq2[Act, error] {
	return func(yield func(Act, error) bool) {
		all, err := open(ctx, log, auditStreams(month))
		for err == nil {
			var next *source
			for _, s := range all {
				if len(s.ahead) > 0 && (next == nil || s.ahead[0].at < next.ahead[0].at) {
					next = s
				}
			}
			if next == nil || !yield(next.ahead[0].act, nil) {
				return
			}
			err = next.pass(ctx, log)
		}
		yield(Act{}, err)
	}
}

// readAhead is how many acts of each stream are read ahead, and openers how many streams are
// opened side by side.
const readAhead, openers = 256, 8

// source is a stream that is read along with others, in pieces: no read is held open
// while the others have their turns.
type source struct {
	stream store.StreamID
	head   store.Head
	ahead  []placed
	whole  bool // nothing comes behind
}

// placed is an act with its place in the log.
type placed struct {
	at  store.Position
	act Act
}

func open(ctx context.Context, log store.Log, streams []store.StreamID) ([]*source, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]*source, len(streams))
	var wg sync.WaitGroup
	for first := range openers {
		wg.Go(func() {
			for i := first; i < len(streams) && ctx.Err() == nil; i += openers {
				all[i] = &source{stream: streams[i]}
				if err := all[i].read(ctx, log); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return all, context.Cause(ctx)
}

// pass goes on to the next act.
func (s *source) pass(ctx context.Context, log store.Log) error {
	if s.ahead = s.ahead[1:]; len(s.ahead) > 0 || s.whole {
		return nil
	}
	return s.read(ctx, log)
}

func (s *source) read(ctx context.Context, log store.Log) error {
	s.ahead = nil
	for c, err := range log.Read(ctx, s.stream, s.head) {
		if err != nil {
			return err
		}
		if s.head = c.Head(); len(c.Events) > 0 {
			if err := s.decode(log.Codec(), c); err != nil {
				return err
			}
		}
		if len(s.ahead) >= readAhead {
			return nil
		}
	}
	s.whole = true
	return nil
}

func (s *source) decode(codec store.Codec, c *store.Commit) error {
	for i, e := range c.Events {
		v, err := entries.Decode(codec, e.Type, e.Schema, e.Data)
		if err != nil {
			return err
		}
		if a, ok := v.(Act); ok {
			s.ahead = append(s.ahead, placed{store.PositionOf(c.Sequence, i), a})
		}
	}
	return nil
}
