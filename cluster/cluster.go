package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Cluster is one node's part in a cluster: it joins, claims what it should
// serve, passes on what it should not, and leaves. It implements [Placement].
// All methods may be called from many goroutines.
type Cluster struct {
	config    Config
	bucket    bucket
	directory *directory
	metrics   *metrics
	started   atomic.Bool
	leaving   atomic.Bool
	ready     chan struct{}
	wake      chan struct{} // something may have to be done
	read      chan struct{} // something may have to be read
	renew     chan struct{} // the lease is to be renewed now
	hinted    atomic.Uint64 // the highest revision that a hint told of

	lease atomic.Pointer[lease] // nil before the node has joined
	// epochs are those of the partitions that are served here; 0: not served.
	epochs []atomic.Uint64
	view   atomic.Pointer[view]

	mu     sync.Mutex
	tenure map[Slot]*tenure
	moving int            // hand-overs under way
	works  sync.WaitGroup // what runs for slots
	plan   *plan
}

// New checks the configuration and registers the metrics. It asks nobody and
// starts nothing; [Cluster.Run] does.
func New(config Config) (*Cluster, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Conn == nil {
		return nil, fmt.Errorf("cluster config: %w: Conn is needed", ErrInvalid)
	}
	b, err := newNATSBucket(config.Conn, config.Namespace)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w: %w", ErrUnavailable, err)
	}
	return newCluster(config, b)
}

func newCluster(config Config, b bucket) (*Cluster, error) {
	c := &Cluster{
		config:    config,
		bucket:    b,
		directory: newDirectory(config.quiet()),
		ready:     make(chan struct{}),
		wake:      make(chan struct{}, 1),
		read:      make(chan struct{}, 1),
		renew:     make(chan struct{}, 1),
		epochs:    make([]atomic.Uint64, config.Partitions),
		tenure:    map[Slot]*tenure{},
	}
	c.view.Store(&view{changed: make(chan struct{})})
	c.metrics = newMetrics(c)
	if err := c.metrics.register(config.Registerer); err != nil {
		return nil, fmt.Errorf("cluster metrics: %w", err)
	}
	return c, nil
}

// Ready returns a channel that is closed once the node has joined.
func (c *Cluster) Ready() <-chan struct{} { return c.ready }

// Run joins the cluster and serves what falls to this node until ctx ends.
// Then it hands everything over, takes itself off the directory and returns
// nil. The error matches [ErrNameTaken] if a node of the same name runs,
// [ErrUnlike] if one of other terms does, [ErrUnavailable] if the directory could not be made or read within a minute.
// It is called once.
func (c *Cluster) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("cluster: Run was called twice")
	}
	stopHints, err := c.bucket.hints(c.hint)
	if err != nil {
		return fmt.Errorf("join cluster: %w: %w", ErrUnavailable, err)
	}
	defer stopHints()
	if err := c.join(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("join cluster: %w", err)
	}
	close(c.ready)
	// What runs goes on while the node leaves.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){c.keep, c.follow, c.probe, c.steer} {
		loops.Go(func() { loop(running) })
	}
	<-ctx.Done()
	err = c.leave(running)
	stop()
	loops.Wait()
	c.works.Wait()
	return errors.Join(err, c.depart(running))
}

// signal wakes a loop that waits on c, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tick waits for a signal, for d, or for ctx's end, which it reports.
func tick(ctx context.Context, c <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
