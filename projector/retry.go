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
	// step is up to where each event is written by itself: what was made of one of
	// them could not be stored.
	step store.Position
	// isolated says that alone or step was set since the last success or pause.
	isolated bool
	// failing is the event that failed by itself so many tries in a row.
	failing store.Position
	tries   int
	// park is the event that failed often enough; nil if there is none.
	park *EventError
	// batch is how many handlers run in one commit; 0 before the first.
	batch int
}

// unfitError says that what events came to cannot be stored, and not which event
// it was.
type unfitError struct{ error }

// Unwrap returns the reason.
func (e *unfitError) Unwrap() error { return e.error }

func (r *retry) wrote() { r.failures, r.isolated = 0, false }

func (r *retry) lasted() { r.failures, r.interruptions, r.isolated = 0, 0, false }

// single reports whether the event is written by itself.
func (r *retry) single(p store.Position) bool { return p == r.alone || p <= r.step }

// parks reports whether the event's stream is to be parked at it.
func (r *retry) parks(p store.Position) bool { return r.park != nil && r.park.Position == p }

// isolate reports whether the attempt is to be repeated at once with the
// offending event alone. Fold may have changed documents half when it
// panicked, so what was folded before that event has to be folded and written
// again without it.
func (r *retry) isolate(err error) bool {
	var unfit *steppedError
	stopped := blamed(err)
	switch {
	case r.isolated:
		return false
	case errors.As(err, &unfit) && unfit.upTo > r.step:
		r.step = unfit.upTo
	case stopped != nil && !r.single(stopped.Position):
		r.alone = stopped.Position
	default:
		return false
	}
	r.isolated = true
	return true
}

// steppedError is an unfitError of several events, the last of them at upTo.
type steppedError struct {
	*unfitError
	upTo store.Position
}

// exhausted counts a failure of an event by itself, and reports whether its stream
// is to be parked at once.
func (r *retry) exhausted(err error, attempts int) bool {
	stopped := blamed(err)
	if stopped == nil {
		return false
	}
	if r.failing != stopped.Position {
		r.failing, r.tries = stopped.Position, 0
	}
	r.tries++
	if r.tries >= attempts {
		r.park = stopped
	}
	return r.park != nil
}

// backoff counts an attempt that ended with err and returns how long to wait.
// What passes by itself is tried again soon, what waits for a new build or an
// operator seldom, and an event a few times before its stream is parked.
func (r *retry) backoff(err error) time.Duration {
	r.isolated = false
	switch {
	case blamed(err) != nil:
		const first, factor = 100 * time.Millisecond, 2 // of the shift: each pause is four times the last
		return jittered(first, time.Minute, 1+factor*(r.tries-1))
	case errors.Is(err, store.ErrUnavailable):
		r.interruptions++
		return jittered(50*time.Millisecond, 5*time.Second, r.interruptions)
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrTooLarge), errors.Is(err, ErrTooManyParked), errors.Is(err, errPartly):
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

// How many handlers run in one commit. It is not known how long they take: a
// commit that takes long halves it, a short one doubles it.
const (
	firstBatch = 256
	shortBatch = 250 * time.Millisecond
	longBatch  = time.Second
)

func (r *retry) events() int {
	if r.batch == 0 {
		r.batch = firstBatch
	}
	return r.batch
}

// took notes how long a commit with handlers took, or that it came to nothing.
func (r *retry) took(d time.Duration, err error) {
	switch {
	case err != nil && blamed(err) == nil && !errors.Is(err, ErrFenced), d > longBatch:
		r.batch = max(1, r.events()/2)
	case err == nil && d < shortBatch:
		r.batch = min(2*r.events(), maxStaged)
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
