package fleet

import (
	"slices"
	"time"
)

// Returns tells, for each of the streams, how long after a moment the first
// command on it was acknowledged that was under way at that moment or was sent
// later; and on which streams none was yet.
func (h *History) Returns(streams []string, after time.Duration) (took []time.Duration, missing []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range streams {
		first := time.Duration(-1)
		for _, o := range slices.Backward(h.ops[id]) {
			if o.Done <= after {
				break // the rest was answered before
			}
			if o.Outcome == OK {
				first = o.Done
			}
		}
		if first < 0 {
			missing = append(missing, id)
			continue
		}
		took = append(took, first-after)
	}
	return took, missing
}

// Times tells how long each command took that was for one of the streams and
// under way at some moment of the span, however it ended.
func (h *History) Times(streams []string, span Interval) []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	var took []time.Duration
	for _, id := range streams {
		for _, o := range slices.Backward(h.ops[id]) {
			if o.Done < span.Sent {
				break
			}
			if o.Sent <= span.Done {
				took = append(took, o.Done-o.Sent)
			}
		}
	}
	return took
}

// Unanswered reports whether a command sent within the span to one of the
// streams still waits.
func (h *History) Unanswered(streams map[string]bool, span Interval) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o := range h.pending {
		if streams[o.Stream] && o.Sent <= span.Done {
			return true
		}
	}
	return false
}

// Percentile returns the value that the part p of all, in [0, 1], do not
// exceed: the nearest rank. 0 if there is none.
func Percentile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	rank := int(p*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}
