package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"
)

// Gateway serves a namespace's commands, queries and control requests on one
// connection.
type Gateway struct {
	config      Config
	subjects    subjects
	aggregates  map[string]*aggregate
	metrics     *metrics
	commands    *semaphore.Weighted // those under way
	payloads    *semaphore.Weighted // their bytes
	reads       *semaphore.Weighted
	comparisons *semaphore.Weighted
	operations  *semaphore.Weighted
	watches     *semaphore.Weighted
	accounts    *accounts
	drops       drops
	// countsStreams says that there is a quota of new streams.
	countsStreams bool
	streams       *streams // of the watches
	started       atomic.Bool
	ready         chan struct{}
	ending        chan struct{} // closed when what waits for views is to give up

	// With a placement:
	partitions []partition
	owners     *endpoint // takes what is sent to the owners of partitions
	passage    *passage
	attention  chan struct{} // the partitions have to be looked after
	taking     atomic.Bool   // partitions may be served
	leaving    atomic.Bool   // nothing is parked any more
}

// New checks the configuration and registers the metrics. It subscribes to
// nothing and starts nothing; [Gateway.Run] does.
func New(config Config) (*Gateway, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	m := newMetrics()
	if err := m.register(config.Registerer); err != nil {
		return nil, fmt.Errorf("gateway metrics: %w", err)
	}
	g := &Gateway{
		config:      config,
		subjects:    subjects{namespace: config.Namespace},
		aggregates:  m.aggregates(config.Actors.Definitions()),
		metrics:     m,
		commands:    semaphore.NewWeighted(int64(config.MaxInFlight)),
		payloads:    semaphore.NewWeighted(int64(config.MaxInFlightBytes)),
		reads:       semaphore.NewWeighted(int64(config.MaxReads)),
		comparisons: semaphore.NewWeighted(int64(config.MaxComparisons)),
		operations:  semaphore.NewWeighted(int64(config.MaxOperations)),
		watches:     semaphore.NewWeighted(int64(config.MaxWatches)),
		accounts:    newAccounts(config.Quotas),

		countsStreams: config.Quotas.Namespace.StreamsPerHour > 0 || config.Quotas.Principal.StreamsPerHour > 0,
		ready:         make(chan struct{}),
		ending:        make(chan struct{}),
		attention:     make(chan struct{}, 1),
	}
	if config.Placement != nil {
		g.partitions = make([]partition, config.Partitions)
		for i := range g.partitions {
			g.partitions[i].number = i
		}
	}
	return g, nil
}

// Ready returns a channel that is closed once requests are taken.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Run serves until ctx ends. Then it takes nothing new, waits until what was
// taken is answered, at most Config.DrainTimeout, and returns nil; Actors and
// Views must run until then. It fails if the connection is closed, or if what
// was taken could not be answered in time. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	if g.started.Swap(true) {
		return errors.New("gateway: Run was called twice")
	}
	closed := g.config.Conn.StatusChanged(nats.CLOSED)
	defer g.config.Conn.RemoveStatusListener(closed)
	if g.config.Conn.IsClosed() {
		return errClosed
	}
	// What is under way when ctx ends goes on: base ends later.
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	services := g.services(base)
	defer func() {
		for _, s := range services {
			s.hide()
		}
	}()
	end, err := g.beginRouting(base)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer end()
	if g.streams, err = newStreams(g.config.Conn); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer g.streams.end()
	if err := g.start(services); err != nil {
		return errors.Join(fmt.Errorf("gateway: %w", err), g.drain(services, stop))
	}
	close(g.ready)
	select {
	case <-closed:
		return errClosed
	case <-ctx.Done():
		return g.drain(services, stop)
	}
}

// beginRouting starts what errands need that are not answered at once; end ends
// it. Without a placement there are none.
func (g *Gateway) beginRouting(ctx context.Context) (end func(), err error) {
	if g.config.Placement == nil {
		return func() {}, nil
	}
	if g.passage, err = newPassage(g.config.Conn); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.keep(ctx)
	}()
	g.taking.Store(true)
	return func() {
		g.taking.Store(false)
		cancel()
		<-done
		g.passage.close()
	}, nil
}

var errClosed = errors.New("gateway: the connection is closed")

func (g *Gateway) start(services []*service) error {
	for _, s := range services {
		if err := s.start(); err != nil {
			return err
		}
	}
	return g.config.Conn.FlushTimeout(g.config.DrainTimeout)
}

// drain ends the subscriptions, lets the handlers finish what the server had
// sent, answers what is parked, and waits until all of it is answered and the
// answers are out.
func (g *Gateway) drain(services []*service, stop context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.config.DrainTimeout)
	defer cancel()
	g.taking.Store(false)
	errs := []error{drain(ctx, "partitions", g.subscriptions())}
	for _, s := range services {
		errs = append(errs, s.drain(ctx))
	}
	g.leaving.Store(true) // what nobody takes now is answered
	close(g.ending)
	g.attend()
	errs = append(errs, acquireAll(ctx, "watches", g.watches, g.config.MaxWatches))
	errs = append(errs, acquireAll(ctx, "commands", g.commands, g.config.MaxInFlight))
	if g.idle(ctx) != nil {
		stop() // those that still wait give up and say so to their askers
		last, cancel := context.WithTimeout(context.Background(), lastTimeout)
		defer cancel()
		errs = append(errs, g.idle(last))
	}
	if g.config.Conn.IsConnected() {
		errs = append(errs, g.config.Conn.FlushTimeout(lastTimeout))
	}
	return errors.Join(errs...)
}

// lastTimeout bounds what is done when the time to drain is over: to end reads
// and to bring the last answers to the server.
const lastTimeout = 2 * time.Second

// idle waits until nothing is under way that has a lane. What it acquired it gives
// back if it fails, so that it can be asked again.
func (g *Gateway) idle(ctx context.Context) error {
	lanes := []lane{g.readLane(), g.comparisonLane(), g.operationLane()}
	for i, l := range lanes {
		if err := acquireAll(ctx, l.what, l.places, l.most); err != nil {
			for _, l := range lanes[:i] {
				l.places.Release(int64(l.most))
			}
			return err
		}
	}
	return nil
}

// acquireAll waits until nothing holds s.
func acquireAll(ctx context.Context, what string, s *semaphore.Weighted, all int) error {
	if err := s.Acquire(ctx, int64(all)); err != nil {
		return fmt.Errorf("gateway drain: %s are still under way: %w", what, err)
	}
	return nil
}

// maxReplyBytes is what an answer may have: never more than the server takes,
// headers included.
func (g *Gateway) maxReplyBytes() int {
	const headerRoom = 2 << 10
	return min(g.config.MaxReplyBytes, int(g.config.Conn.MaxPayload())-headerRoom)
}
