package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load runs work in so many workers for the lab's measuring time.
func (l *lab) load(ctx context.Context, workers int, work func(worker, n int) error) (sample, error) {
	var stop atomic.Bool
	timer := time.AfterFunc(l.seconds, func() { stop.Store(true) })
	defer timer.Stop()
	latencies := make([][]time.Duration, workers)
	errs := make([]error, workers)
	began := time.Now()
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for n := 0; !stop.Load() && ctx.Err() == nil; n++ {
				start := time.Now()
				err := work(w, n)
				if errors.Is(err, errDone) {
					return
				}
				if err != nil {
					errs[w] = fmt.Errorf("worker %d, operation %d: %w", w, n, err)
					return
				}
				latencies[w] = append(latencies[w], time.Since(start))
			}
		})
	}
	group.Wait()
	return newSample(latencies, time.Since(began)), errors.Join(append(errs, ctx.Err())...)
}

// repeat calls work over and over for the lab's measuring time: for what is
// too short to be timed one by one.
func (l *lab) repeat(ctx context.Context, work func(n int)) (sample, error) {
	const between = 1000 // calls between two looks at the clock
	n, began := 0, time.Now()
	for time.Since(began) < l.seconds && ctx.Err() == nil {
		for range between {
			work(n)
			n++
		}
	}
	took := time.Since(began)
	s := rate(n, took)
	s.each = float64(took.Nanoseconds()) / float64(n)
	return s, ctx.Err()
}
