package projector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/annals-go/annals/store"
)

// longRun is after how long an attempt that ended counts as a success.
const longRun = time.Minute

// retry is what one attempt leaves to the next.
type retry struct {
	failures int
	// alone is an event that must be applied with nothing else waiting to be
	// written: it was seen to fail. 0 if there is none.
	alone store.Position
	// isolated says that alone was set since the last success or pause.
	isolated bool
}

func (r *retry) succeeded() { r.failures, r.isolated = 0, false }

// isolate reports whether the attempt is to be repeated at once with the
// offending event alone. Fold may have changed documents half when it
// panicked, so what was folded before that event has to be folded and written
// again without it.
func (r *retry) isolate(err error) bool {
	var stopped *EventError
	if !errors.As(err, &stopped) || stopped.Position == r.alone || r.isolated {
		return false
	}
	r.alone, r.isolated = stopped.Position, true
	return true
}

// backoff returns between what times to wait after an error. What passes by
// itself is tried again soon, what waits for a new build or an operator seldom.
func backoff(err error) (least, most time.Duration) {
	var stopped *EventError
	switch {
	case errors.As(err, &stopped), errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrTooLarge):
		return time.Second, time.Minute
	case errors.Is(err, store.ErrAhead), errors.Is(err, store.ErrInvalid):
		return 30 * time.Second, time.Minute
	default:
		return 50 * time.Millisecond, 5 * time.Second
	}
}

// jittered doubles with each failure from least to most and takes a random
// half off, so that many who failed together do not come back together.
func jittered(least, most time.Duration, failures int) time.Duration {
	wait := most
	if shift := failures - 1; shift < 16 {
		wait = min(least<<shift, most)
	}
	return wait - rand.N(wait/2+1)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
