package harness

import (
	"context"
	"fmt"
	"time"
)

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// Until calls holds until it returns nil, at most limit long, and then returns
// its last error. holds is not interrupted.
func Until(ctx context.Context, limit time.Duration, what string, holds func() error) error {
	end := time.Now().Add(limit)
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s: %w", what, limit, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w; the last time: %w", what, context.Cause(ctx), err)
		}
		_ = Pause(ctx, pollEvery)
	}
}

// Pause waits, and returns the error of ctx if that ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
