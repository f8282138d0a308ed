package jetstream

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Millisecond
	maxPause   = 250 * time.Millisecond
)

// pause waits before the next try, longer each time and never two callers
// equally long: between a half and the whole of 1 ms, 2 ms, 4 ms … 250 ms. It
// returns the cause when ctx ends first.
func pause(ctx context.Context, try int) error {
	most := maxPause
	if try < 8 {
		most = min(firstPause<<try, maxPause)
	}
	timer := time.NewTimer(most/2 + rand.N(most/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
