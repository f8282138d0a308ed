package gateway

import (
	"sync"
	"time"
)

// dropEvery is how often a line at most says that something was dropped: whoever sends it must not
// write the node's log.
const dropEvery = 10 * time.Second

// drops counts what is dropped between two lines of the log.
type drops struct {
	mu    sync.Mutex
	count uint64
	said  time.Time
}

// due counts one, and returns how many there were since the last line if it is time for another,
// else 0.
func (d *drops) due(now time.Time) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if !d.said.IsZero() && now.Sub(d.said) < dropEvery {
		return 0
	}
	n := d.count
	d.count, d.said = 0, now
	return n
}
