package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// partitionCount is how many partitions the namespace has. It never changes, so
// a client asks until it knows.
type partitionCount struct {
	known atomic.Int64 // 0: not yet

	asking sync.Mutex
	asked  time.Time
}

// askAgainAfter is how long a client that learned nothing waits before it asks
// again.
const askAgainAfter = 5 * time.Second

// countPartitions returns how many partitions there are, and 0 while that is
// not known. One caller asks; the others do not wait for the answer.
func (c *Client) countPartitions(ctx context.Context) int {
	count := &c.partitions
	if n := count.known.Load(); n > 0 || !count.asking.TryLock() {
		return int(n)
	}
	defer count.asking.Unlock()
	if time.Since(count.asked) < askAgainAfter {
		return int(count.known.Load())
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.ResendAfter)
	defer cancel()
	info, err := c.Info(ctx)
	count.asked = time.Now()
	if err == nil && info.Partitions > 0 && info.Partitions <= MaxPartitions {
		count.known.Store(int64(info.Partitions))
	}
	return int(count.known.Load())
}

// partitionOf returns the partition of a stream. While the client does not
// know, it is any: whoever is asked computes it anew.
func (c *Client) partitionOf(ctx context.Context, id store.StreamID) int {
	if n := c.countPartitions(ctx); n > 0 {
		return id.Partition(n)
	}
	return 0
}

// ways returns the subject of the owner of a stream's partition and the one
// that every gateway takes, for the same command. They are the same while the
// partitions are not known.
func (c *Client) ways(ctx context.Context, id store.StreamID, anyGateway string) (direct, detour string) {
	n := c.countPartitions(ctx)
	if n == 0 {
		return anyGateway, anyGateway
	}
	path := anyGateway[len(c.subjects.namespace)+len("."):]
	return c.subjects.partition(id.Partition(n)) + path, anyGateway
}
