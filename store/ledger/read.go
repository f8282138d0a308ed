package ledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/annals-go/annals/store"
)

// Acts yields what was written down of acts from a time on until another, in the order of
// the log. The last pair has the error, if any: that of [store.Log] or of decoding.
func Acts(ctx context.Context, log store.Log, since, until time.Time) iter.Seq2[Act, error] {
	return func(yield func(Act, error) bool) {
		for month := firstOf(since); !month.After(until); month = month.AddDate(0, 1, 0) {
			for a, err := range monthOf(ctx, log, month) {
				if err != nil {
					yield(Act{}, err)
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

func monthOf(ctx context.Context, log store.Log, month time.Time) iter.Seq2[Act, error] {
	return func(yield func(Act, error) bool) {
		for c, err := range log.Read(ctx, auditStream(month), store.Head{}) {
			if err != nil {
				yield(Act{}, fmt.Errorf("read acts of %s: %w", Month(month), err))
				return
			}
			for _, e := range c.Events {
				v, err := entries.Decode(log.Codec(), e.Type, e.Schema, e.Data)
				if err != nil {
					yield(Act{}, fmt.Errorf("read acts of %s: %w", Month(month), err))
					return
				}
				if a, ok := v.(Act); ok && !yield(a, nil) {
					return
				}
			}
		}
	}
}
