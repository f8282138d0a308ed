package gateway_test

import (
	"context"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// partitions is how many the namespace of the tests of routing has.
const partitions = 8

// roster is a placement that a test changes.
type roster struct {
	mu      sync.Mutex
	owners  [partitions]string
	runners map[string]string
	changed chan struct{}
}

// newRoster gives all partitions to one node.
func newRoster(node string) *roster {
	r := &roster{runners: map[string]string{}, changed: make(chan struct{})}
	for p := range r.owners {
		r.owners[p] = node
	}
	return r
}

func (r *roster) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *roster) give(partition int, node string) { r.change(func() { r.owners[partition] = node }) }
func (r *roster) run(view, node string)           { r.change(func() { r.runners[view] = node }) }

// seenBy is the placement as a node sees it.
func (r *roster) seenBy(node string) cluster.Placement { return seen{r, node} }

type seen struct {
	*roster
	node string
}

func (s seen) Owner(partition int) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners[partition], s.owners[partition] == s.node
}

func (s seen) Runner(duty string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runners[duty], s.runners[duty] == s.node
}

func (s seen) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// node is a gateway of a test, and what counts in it.
type node struct {
	*gateway.Gateway
	name    string
	actors  gateway.Actors
	metrics *prometheus.Registry
	stop    func() error
}

// startNode starts a gateway that shares the server with others.
func startNode(t testing.TB, s *server.Server, r *roster, name string, actors gateway.Actors, change ...func(*gateway.Config)) *node {
	t.Helper()
	n := &node{name: name, actors: actors, metrics: prometheus.NewRegistry()}
	config := gateway.Config{
		Conn: connect(t, s), Actors: actors, Node: name, Placement: r.seenBy(name), Partitions: partitions, Registerer: n.metrics,
	}
	for _, f := range change {
		f(&config)
	}
	n.Gateway, n.stop = startGateway(t, config)
	return n
}

func partitioned(c *gateway.Config) { c.Partitioned = true }

// metric is the value of a metric of the node; what picks one by its label.
func (n *node) metric(t testing.TB, name, what string) float64 {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == what {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func (n *node) forwarded(t testing.TB, what string) float64 {
	return n.metric(t, "annals_gateway_forwarded_total", what)
}

func (n *node) parked(t testing.TB) float64 { return n.metric(t, "annals_gateway_parked", "") }

// idIn returns an id of an account in a partition; different ones for
// different n.
func idIn(partition, n int) string {
	for i := 0; ; i++ {
		id := "a" + string(rune('a'+i%26)) + itoa(i) + "-" + itoa(n)
		if (store.StreamID{Type: "account", ID: id}).Partition(partitions) == partition {
			return id
		}
	}
}

// shutters is a system whose partitions open and close.
type shutters struct {
	*actor.System
	partitions [partitions]shutter
}

type shutter struct {
	mu      sync.Mutex
	open    bool
	running sync.WaitGroup
}

func startShutters(t testing.TB, log *store.Memory) *shutters {
	t.Helper()
	s, err := actor.NewSystem(actor.Config{
		Log: log, Snapshots: log, Aggregates: []actor.Definition{accounts}, Shared: true, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	return &shutters{System: s}
}

func (s *shutters) Submit(ctx context.Context, c actor.Command, reply func(actor.Result, error)) {
	p := &s.partitions[c.Stream.Partition(partitions)]
	if !p.enter() {
		reply(actor.Result{}, actor.ErrMoved)
		return
	}
	s.System.Submit(ctx, c, func(result actor.Result, err error) {
		defer p.running.Done()
		reply(result, err)
	})
}

func (s *shutters) Read(ctx context.Context, id store.StreamID, linearizable bool) (actor.State, error) {
	p := &s.partitions[id.Partition(partitions)]
	if !p.enter() {
		return actor.State{}, actor.ErrMoved
	}
	defer p.running.Done()
	return s.State(ctx, id, actor.At{})
}

func (p *shutter) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		p.running.Add(1)
	}
	return p.open
}

// set opens or closes a partition; closed, nothing is under way in it.
func (s *shutters) set(partition int, open bool) {
	p := &s.partitions[partition]
	p.mu.Lock()
	p.open = open
	p.mu.Unlock()
	if !open {
		p.running.Wait()
	}
}
