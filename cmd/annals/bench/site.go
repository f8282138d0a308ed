package bench

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store/jetstream"
)

// site is a namespace that is served by nodes of a cluster, all in this
// process, each with a connection of its own.
type site struct {
	lab        *lab
	namespace  string
	server     *embedded.Server // whom nodes and clients connect to
	partitions int
	members    []*member
}

// member is one node, put together as a program's node is.
type member struct {
	node    cluster.Node
	log     *jetstream.Log
	cluster *cluster.Cluster
	actors  *actor.System
	gateway *gateway.Gateway
	open    atomic.Int64 // partitions
}

// patience is how long a lease lasts here, longer than elsewhere: a machine that
// is busy with something else makes a measurement slow, and must not end it. A
// lease costs the same however long it lasts.
const patience = 5 * time.Second

// site starts nodes and returns when each serves its share.
func (l *lab) site(ctx context.Context, namespace string, nodes ...cluster.Node) (*site, error) {
	log, err := l.open(ctx, l.conn, namespace)
	if err != nil {
		return nil, err
	}
	s := &site{lab: l, namespace: namespace, partitions: log.Partitions()}
	if s.server, err = l.leader(ctx, "ANNALS_"+namespace+"_events"); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		m, err := s.member(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
		s.members = append(s.members, m)
	}
	// They join last, so that they are ended first and hand over in good order.
	for _, m := range s.members {
		l.background(m.cluster.Run)
		if err := await(ctx, m.cluster.Ready()); err != nil {
			return nil, fmt.Errorf("node %s: join: %w", m.node.Name, err)
		}
	}
	return s, s.settle(ctx)
}

func named(names ...string) (nodes []cluster.Node) {
	for _, name := range names {
		nodes = append(nodes, cluster.Node{Name: name})
	}
	return nodes
}

func (s *site) member(ctx context.Context, n cluster.Node) (*member, error) {
	nc, err := s.lab.connectTo(s.server)
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	m := &member{node: n}
	if m.log, err = s.lab.open(ctx, nc, s.namespace); err != nil {
		return nil, err
	}
	m.cluster, err = cluster.New(cluster.Config{
		Conn: nc, Namespace: s.namespace, Partitions: s.partitions, Node: n, Handler: m, Replicas: s.lab.replicas,
		Validity: patience, Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	m.actors, err = actor.NewSystem(actor.Config{
		Log: m.log, Snapshots: m.log.Snapshots(), Aggregates: []actor.Definition{Notebooks}, Leases: m.cluster, Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	s.lab.background(m.actors.Run)
	m.gateway, err = gateway.New(gateway.Config{
		Conn: nc, Namespace: s.namespace, Actors: m.actors, Placement: m.cluster, Partitioned: true, Partitions: s.partitions,
		Node: n.Name, Inner: len(n.Roles) == 1 && n.Roles[0] == cluster.RoleActors, Logger: quiet,
	})
	if err != nil {
		return nil, err
	}
	s.lab.background(m.gateway.Run)
	return m, await(ctx, m.gateway.Ready())
}

// settle waits until each partition is open on the node that should have it:
// the first node that joined had all of them for a while.
func (s *site) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	admin, err := cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: s.lab.conn, Namespace: s.namespace})
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		settled, err := s.settled(ctx, admin)
		if settled || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %d nodes serve %s: %w", len(s.members), s.namespace, ctx.Err())
		}
	}
}

func (s *site) settled(ctx context.Context, admin *cluster.Admin) (bool, error) {
	nodes, err := admin.Nodes(ctx)
	if err != nil || len(nodes) != len(s.members) {
		return false, err
	}
	wanted := make(map[string]int, len(nodes))
	for _, n := range nodes {
		wanted[n.Name] = n.Wanted
	}
	all := 0
	for _, m := range s.members {
		open := int(m.open.Load())
		if open != wanted[m.node.Name] {
			return false, nil
		}
		all += open
	}
	return all == s.partitions, nil
}

// client returns a client on a connection of its own.
func (s *site) client() (*gateway.Client, error) {
	nc, err := s.lab.connectTo(s.server)
	if err != nil {
		return nil, err
	}
	return gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: s.namespace, Partitions: s.partitions, Timeout: startLimit})
}

// Take implements [cluster.Handler].
func (m *member) Take(slot cluster.Slot, _ uint64) error {
	m.actors.Open(slot.Partition)
	if err := m.gateway.Serve(slot.Partition); err != nil {
		m.actors.Drop(slot.Partition)
		return err
	}
	m.open.Add(1)
	return nil
}

// Release implements [cluster.Handler].
func (m *member) Release(ctx context.Context, slot cluster.Slot) {
	m.open.Add(-1)
	m.gateway.Hold(slot.Partition)
	m.actors.Release(ctx, slot.Partition)
}

// Passed implements [cluster.Handler].
func (m *member) Passed(slot cluster.Slot, _ string) { m.gateway.Pass(slot.Partition) }

// Drop implements [cluster.Handler].
func (m *member) Drop(slot cluster.Slot) {
	m.actors.Drop(slot.Partition)
	m.gateway.Pass(slot.Partition)
}
