package projector

import (
	"testing"
	"time"
)

func TestRestAfterAWrite(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		took    time.Duration
		commits uint64
		most    time.Duration
		want    time.Duration
	}{
		{3 * ms, 0, 25 * ms, 0},
		{3 * ms, 1, 25 * ms, 0},
		{4 * ms, 2, 25 * ms, 1 * ms},
		{4 * ms, 5, 25 * ms, 4 * ms},
		{4 * ms, 9, 25 * ms, 8 * ms},
		{4 * ms, 1_000_000, 25 * ms, 8 * ms},
		{20 * ms, 100, 25 * ms, 25 * ms},
		{20 * ms, 100, -1, 0},
	} {
		if got := restAfter(c.took, c.commits, c.most); got != c.want {
			t.Errorf("after %v for %d commits, at most %v: %v, want %v", c.took, c.commits, c.most, got, c.want)
		}
	}
}
