package bench

import (
	"slices"
	"time"
)

// sample is one measurement.
type sample struct {
	operations int
	perSecond  float64
	p50, p99   time.Duration
	each       float64 // nanoseconds, of what is too short to be timed one by one
}

func newSample(latencies [][]time.Duration, took time.Duration) sample {
	all := slices.Concat(latencies...)
	slices.Sort(all)
	s := sample{operations: len(all), perSecond: float64(len(all)) / took.Seconds()}
	if len(all) > 0 {
		s.p50, s.p99 = all[len(all)/2], all[len(all)*99/100]
	}
	return s
}

// rate is a measurement of so many operations that were not timed one by one.
func rate(operations int, took time.Duration) sample {
	return sample{operations: operations, perSecond: float64(operations) / took.Seconds()}
}

// median returns the sample in the middle by the given figure.
func median(samples []sample, figure func(sample) float64) sample {
	sorted := slices.Clone(samples)
	slices.SortFunc(sorted, func(a, b sample) int {
		switch x, y := figure(a), figure(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return sorted[len(sorted)/2]
}
