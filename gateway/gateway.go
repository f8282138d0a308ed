package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/semaphore"
)

// Gateway serves a namespace's commands, queries and control requests on one
// connection.
type Gateway struct {
	config     Config
	subjects   subjects
	aggregates map[string]*aggregate
	metrics    *metrics
	commands   *semaphore.Weighted // those under way
	payloads   *semaphore.Weighted // their bytes
	reads      *semaphore.Weighted
	started    atomic.Bool
	ready      chan struct{}
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
	return &Gateway{
		config:     config,
		subjects:   subjects{namespace: config.Namespace},
		aggregates: m.aggregates(config.Actors.Definitions()),
		metrics:    m,
		commands:   semaphore.NewWeighted(int64(config.MaxInFlight)),
		payloads:   semaphore.NewWeighted(int64(config.MaxInFlightBytes)),
		reads:      semaphore.NewWeighted(int64(config.MaxReads)),
		ready:      make(chan struct{}),
	}, nil
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

var errClosed = errors.New("gateway: the connection is closed")

func (g *Gateway) start(services []*service) error {
	for _, s := range services {
		if err := s.start(); err != nil {
			return err
		}
	}
	return g.config.Conn.FlushTimeout(g.config.DrainTimeout)
}

// services are one for each role, so that each may be granted, found and
// watched by itself, and a node without a role does not pretend to have it.
func (g *Gateway) services(base context.Context) []*service {
	commands := newService(g.config, "annals-commands", "commands")
	// Everything below cmd. and qry. is taken, so that a malformed subject gets
	// an answer and not silence.
	commands.add("command", g.subjects.commands()+">", g.commandMetadata(), g.handleCommand)

	control := newService(g.config, "annals-control", "inspection")
	control.add("aggregate-get", g.subjects.control("aggregate.get"), answers(typeAggregate), g.reader(base, g.aggregateGet))
	control.add("aggregate-history", g.subjects.control("aggregate.history"), answers(typeHistory), g.reader(base, g.aggregateHistory))
	control.add("info", g.subjects.control("info"), answers(typeInfo), g.reader(base, g.info))
	if g.config.Views == nil {
		return []*service{commands, control}
	}
	control.add("projection-ls", g.subjects.control("projection.ls"), answers(typeProjections), g.reader(base, g.projectionList))
	query := newService(g.config, "annals-query", "views")
	query.add("query", g.subjects.queries()+">", map[string]string{
		"document": g.subjects.document("VIEW", "KEY"), "list": g.subjects.view("VIEW"),
	}, g.reader(base, g.query))
	return []*service{commands, query, control}
}

// answers is the metadata of an endpoint that answers one type of body.
func answers(typ string) map[string]string { return map[string]string{"response": typ} }

func (g *Gateway) commandMetadata() map[string]string {
	metadata := map[string]string{"subject": g.subjects.command("TYPE", "ID", "COMMAND")}
	types := make([]string, 0, len(g.aggregates))
	for _, d := range g.config.Actors.Definitions() {
		types = append(types, d.TypeName())
		metadata["commands."+d.TypeName()] = strings.Join(d.CommandNames(), ",")
	}
	metadata["aggregates"] = strings.Join(types, ",")
	return metadata
}

// drain ends the subscriptions, lets the handlers finish what the server had
// sent, and waits until all of it is answered and the answers are out.
func (g *Gateway) drain(services []*service, stop context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.config.DrainTimeout)
	defer cancel()
	var errs []error
	for _, s := range services {
		errs = append(errs, s.drain(ctx))
	}
	errs = append(errs, acquireAll(ctx, "commands", g.commands, g.config.MaxInFlight))
	if acquireAll(ctx, "reads", g.reads, g.config.MaxReads) != nil {
		stop() // those that still wait give up and say so to their askers
		last, cancel := context.WithTimeout(context.Background(), lastTimeout)
		defer cancel()
		errs = append(errs, acquireAll(last, "reads", g.reads, g.config.MaxReads))
	}
	if g.config.Conn.IsConnected() {
		errs = append(errs, g.config.Conn.FlushTimeout(lastTimeout))
	}
	return errors.Join(errs...)
}

// lastTimeout bounds what is done when the time to drain is over: to end reads
// and to bring the last answers to the server.
const lastTimeout = 2 * time.Second

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
