package gateway

import (
	"context"
	"math/rand/v2"
	"time"
)

// rest pauses for at most so long; false: ctx is over. Those that were turned
// away together come back apart.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause/2 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// patienceOf is how long a server may let a request wait: a little less than
// its sender does, so that the answer to one that waited in vain still arrives.
func patienceOf(ctx context.Context) time.Duration {
	const most = 250 * time.Millisecond
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	left -= min(left/5, most)
	return max(left, time.Millisecond)
}

// patience is patienceOf as a header says it.
func patience(ctx context.Context) string {
	return patienceOf(ctx).Truncate(time.Microsecond).String()
}
