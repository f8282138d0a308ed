package node

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// member is one node of a system, whoever runs the servers that it stands on:
// a connection and what lives on it. Each part fills in what the later ones
// use.
type member struct {
	session *Session
	logger  *slog.Logger
	node    cluster.Node
	// alone says that there is no other node and no directory: everything is
	// served here.
	alone bool
	// dial connects, with options that are the member's.
	dial func(context.Context, ...nats.Option) (*nats.Conn, error)
	// check refuses a server that does not keep what it should, before anything
	// is created there. Nil: none.
	check func(context.Context, *nats.Conn) error
	// look tells an operator what may be wrong, and refuses nothing. Nil: nothing.
	look func(context.Context, *nats.Conn)
	// log says how the namespace is created; Conn and Logger are added to it.
	log     jetstream.Config
	store   viewStore
	wrapper privacy.Wrapper // of the keys of personal data; nil: there are none
	metrics prometheus.Registerer
	// asked says whose tokens are good, over NATS as over HTTP.
	asked asked

	absent   bool    // the servers said that the namespace is not there yet
	denial   *denial // of the connection
	conn     *nats.Conn
	archive  *archive.Archive // nil: none
	events   *jetstream.Log
	keys     privacy.Keys     // of personal data; nil: there are none
	keyring  *privacy.Keyring // likewise
	ledger   *ledger.Ledger
	cluster  *cluster.Cluster     // nil when alone
	assigned projector.Assignment // the views and workers that run here; not asked when alone
	actors   *actor.System
	views    *projector.Group
	release  func() error // the store of the views
	// forgetting is what this node does for it; nil: there are no personal data
	forgetting *forgetting
	gateway    *gateway.Gateway
}

// parts are started in this order and stopped in reverse. The cluster comes
// last: a node joins when it can serve, and hands over while it still can.
func (m *member) parts() []boot.Part {
	parts := []boot.Part{
		{Name: "connection", Open: m.openConnection, Close: m.closeConnection},
		{Name: "log", Open: m.openLog, Close: m.closeLog},
	}
	if m.wrapper != nil {
		parts = append(parts, m.keysPart())
	}
	parts = append(parts, []boot.Part{
		{Name: "actors", Open: m.openActors, Run: func(ctx context.Context) error { return m.actors.Run(ctx) }},
		{Name: "views", Open: m.openViews, Run: m.runViews, Close: func() error { return m.release() }},
		{
			Name: "gateway", Open: m.openGateway, Run: func(ctx context.Context) error { return m.gateway.Run(ctx) },
			Ready: func() <-chan struct{} { return m.gateway.Ready() },
		},
	}...)
	if m.wrapper != nil {
		parts = append(parts, boot.Part{Name: "forgetting", Run: func(ctx context.Context) error { return m.forgetting.run(ctx) }})
	}
	if m.alone {
		return parts
	}
	return append(parts, boot.Part{
		Name: "cluster", Run: func(ctx context.Context) error { return m.cluster.Run(ctx) },
		Ready: func() <-chan struct{} { return m.cluster.Ready() },
	})
}

func (m *member) openConnection(ctx context.Context) (err error) {
	m.denial = newDenial()
	m.conn, err = m.dial(ctx,
		nats.Name(m.session.app.Name+" node "+m.node.Name),
		nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			m.logger.Warn("nats connection", "err", err)
			m.denial.note(err)
		}),
	)
	if err != nil {
		return err
	}
	if m.look != nil {
		m.look(ctx, m.conn)
	}
	if m.check != nil {
		err = m.denial.unlessDenied(ctx, func(ctx context.Context) error { return m.check(ctx, m.conn) })
	}
	if err == nil && !m.alone {
		err = cluster.CheckAlone(ctx, m.conn, m.session.Namespace())
	}
	if err != nil {
		m.conn.Close()
	}
	return err
}

func (m *member) closeConnection() error {
	m.conn.Close()
	return nil
}

// openLog also makes this node's side of the cluster, which what follows asks
// what it may serve.
func (m *member) openLog(ctx context.Context) (err error) {
	m.log.Conn, m.log.Namespace, m.log.Logger = m.conn, m.session.Namespace(), m.logger
	if m.archive, err = m.session.openArchive(ctx, m.log, m.session.flags.archive); err != nil {
		return err
	}
	if m.archive != nil {
		m.log.Archive = m.archive
	}
	err = m.denial.unlessDenied(ctx, func(ctx context.Context) (err error) {
		m.events, err = jetstream.Open(ctx, m.log)
		return err
	})
	if err != nil {
		return m.unprovisioned(err)
	}
	m.ledger = ledger.New(m.events)
	if m.alone {
		return nil
	}
	m.node.Terms = "--" + viewsFlag + " " + m.store.kind // one registry names the models of all
	m.cluster, err = cluster.New(cluster.Config{
		Conn: m.conn, Namespace: m.session.Namespace(), Partitions: m.events.Partitions(),
		Duties: projector.Duties(m.store.shared(), m.session.app.Projections...),
		Node:   m.node, Handler: hands{m}, Replicas: m.log.Replicas, InMemory: m.log.InMemory,
		Logger: m.session.Logger(), Registerer: m.metrics, // it names the node itself
	})
	if err != nil {
		_ = m.events.Close() // the error that counts is at hand
	}
	return err
}

func (m *member) closeLog() error {
	if m.archive != nil {
		_ = m.archive.Close() // it was only read
	}
	return m.events.Close()
}

// snapshotSoon keeps short what an heir has to read, for one small write in
// eight commits of an actor that is not busy.
const snapshotSoon = 8

func (m *member) openActors(context.Context) (err error) {
	config := actor.Config{
		Log: m.journal(), Snapshots: m.snapshots(), Aggregates: m.session.app.Aggregates, KeepCommands: m.events.KeepsCommands(),
		Partitions: m.events.Partitions(), Logger: m.logger, Registerer: m.metrics,
	}
	if m.keyring != nil {
		config.Keyring = m.keyring
	}
	if !m.alone {
		config.Leases = m.cluster
		config.SnapshotSoon = snapshotSoon
	}
	m.actors, err = actor.NewSystem(config)
	return err
}

func (m *member) openViews(context.Context) (err error) {
	config := projector.Config{
		Log:         m.journal(),
		Keyring:     m.keyring,
		Projections: m.session.app.Projections,
		Registry:    kv.NewRegistry(m.kv()), // whatever store keeps the models: all nodes share it
		Logger:      m.logger, Registerer: m.metrics,
	}
	if config.Store, m.release, err = m.openStore(); err != nil {
		return err
	}
	if !m.alone {
		config.Assigned, config.Reassigned = m.assigned.Assigned, m.assigned.Reassigned
		config.Spread = m.store.shared()
	}
	if m.views, err = projector.NewGroup(config); err != nil {
		_ = m.release() // the error that counts is at hand
	}
	return err
}

// runViews runs the views; without any there is nothing to run, and the group
// would end by itself.
func (m *member) runViews(ctx context.Context) error {
	if len(m.session.app.Projections) == 0 {
		<-ctx.Done()
		return nil
	}
	return m.views.Run(ctx)
}

func (m *member) openGateway(context.Context) (err error) {
	config := gateway.Config{
		Conn: m.conn, Namespace: m.session.Namespace(), Actors: m.actors, Views: m.views, Operators: m.views, Watches: m.views,
		Placement: m.placement(), Partitioned: !m.alone, Partitions: m.events.Partitions(),
		Inner: !m.alone && !slices.Contains(m.node.Roles, cluster.RoleGateway),
		Node:  m.node.Name, Version: semantic(m.session.app),
		Authentication: m.asked.authentication(), Authorize: m.session.app.Authorize, Quotas: m.asked.quotas,
		Logger: m.logger, Registerer: m.metrics,
	}
	config.Recorder, config.Maker = m.ledger, m.maker()
	if m.keyring != nil {
		if m.forgetting, err = newForgetting(m); err != nil {
			return err
		}
		config.Subjects = m.forgetting
	}
	m.gateway, err = gateway.New(config)
	return err
}

func (m *member) placement() cluster.Placement {
	if m.alone {
		return cluster.Single(m.node.Name, m.events.Partitions())
	}
	return m.cluster
}

// probe looks at what readiness depends on while everything runs. A view that
// failed does not make the node unready: commands and other views are served.
func (m *member) probe() []web.Check {
	checks := []web.Check{{Name: "nats"}}
	if status := m.conn.Status(); status != nats.CONNECTED {
		checks[0].Reason = "not connected: " + status.String()
	}
	if m.keyring != nil {
		checks = append(checks, m.wrappingCheck())
	}
	if !m.alone {
		checks = append(checks, m.leaseCheck())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, v := range m.views.Status(ctx) {
		checks = append(checks, viewCheck(v))
	}
	return checks
}

func (m *member) leaseCheck() web.Check {
	c := web.Check{Name: "lease"}
	if _, valid := m.cluster.Session(); !valid {
		c.Reason = "it could not be renewed in time; nothing is answered from memory"
	}
	return c
}

func viewCheck(v projector.Status) web.Check {
	c := web.Check{Name: "view " + v.Name}
	if v.Role == projector.RoleCandidate || v.Role == projector.RolePrevious { // nobody is served from it
		c.Name, c.Bearable = c.Name+", "+v.Role+" "+modelOf(v).String(), true
	}
	switch v.State {
	case projector.StateStarting, projector.StateStopped:
		c.Reason = v.State
	case projector.StateFailed:
		c.Reason, c.Bearable = v.State+": "+v.Error, true
	}
	return c
}
