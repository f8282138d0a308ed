package backup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

// mute is a log whose first feeds deliver nothing, or less than there is.
type mute struct {
	*store.Memory
	feeds   int // so many are silent
	answers int // how often its end can be asked
}

func (l *mute) Tip(ctx context.Context, types ...string) (store.Position, error) {
	if l.answers--; l.answers < 0 {
		return 0, fmt.Errorf("%w: nobody answers", store.ErrUnavailable)
	}
	return l.Memory.Tip(ctx, types...)
}

func (l *mute) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if l.feeds--; l.feeds < 0 {
		return l.Memory.Follow(ctx, f)
	}
	return muteFeed{}, nil
}

type muteFeed struct{ store.Feed }

func (muteFeed) Next(ctx context.Context, _ int) ([]*store.Commit, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (muteFeed) Close() error { return nil }

// A log that is slow is no damage, one that does not answer could not be looked at, and
// one that answers and does not deliver is a finding.
func TestSilence(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		feeds, answers, findings int
		fails                    bool
		took                     time.Duration
	}{
		"once":                {1, 9, 0, false, 30 * time.Second},
		"always":              {99, 9, 1, false, time.Minute},
		"and does not answer": {99, 1, 0, true, 30 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.grow(t, 20)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				report, err := backup.Live{Log: &mute{s.log, c.feeds, c.answers}}.Verify(t.Context())
				if len(report.Findings) != c.findings || c.fails != errors.Is(err, store.ErrUnavailable) || !c.fails && err != nil {
					t.Errorf("%+v, %v", report, err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
		})
	}
}
