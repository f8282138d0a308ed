package projector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/annals-go/annals/store"
)

// longRun is after how long an attempt that ended counts as a success. It is
// much longer than any pause after an interruption: of two groups that take a
// view from each other, each lasts as long as the other pauses.
const longRun = time.Minute

// retry is what one attempt leaves to the next.
type retry struct {
	// failures counts the attempts in a row that ended at what is to be applied. A
	// write ends the row: what failed is behind it.
	failures int
	// interruptions counts those that ended because the log or the store was away,
	// or another writer there. Only an attempt that lasts ends this row.
	interruptions int
	// alone is an event that must be applied with nothing else waiting to be
	// written: it was seen to fail. 0 if there is none.
	alone store.Position
	// isolated says that alone was set since the last success or pause.
	isolated bool
}

func (r *retry) wrote() { r.failures, r.isolated = 0, false }

func (r *retry) lasted() { r.failures, r.interruptions, r.isolated = 0, 0, false }

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

// backoff counts an attempt that ended with err and returns how long to wait.
// What passes by itself is tried again soon, what waits for a new build or an
// operator seldom.
func (r *retry) backoff(err error) time.Duration {
	r.isolated = false
	var stopped *EventError
	switch {
	case errors.As(err, &stopped), errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrTooLarge):
		r.failures++
		return jittered(time.Second, time.Minute, r.failures)
	case errors.Is(err, store.ErrAhead), errors.Is(err, store.ErrInvalid):
		r.failures++
		return jittered(30*time.Second, time.Minute, r.failures)
	default:
		r.interruptions++
		return jittered(50*time.Millisecond, 5*time.Second, r.interruptions)
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
