package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// devNode is everything in one process. Each part fills in what the later ones
// use.
type devNode struct {
	session *Session
	config  devConfig
	health  health
	metrics *prometheus.Registry

	listener net.Listener
	http     *http.Server
	server   *embedded.Server
	conn     *nats.Conn
	log      *jetstream.Log
	actors   *actor.System
	views    *projector.Group
	gateway  *gateway.Gateway
}

func newDevNode(s *Session, config devConfig) *devNode {
	n := &devNode{session: s, config: config, metrics: newMetrics(s.app)}
	n.health.probe = n.probe
	return n
}

// parts are started in this order and stopped in reverse: the gateway, which
// takes work in, goes first while those that do the work still live. HTTP
// lives from the beginning to the end, so that probes are answered throughout.
func (n *devNode) parts() []part {
	return []part{
		{name: "http", open: n.openHTTP, run: n.runHTTP},
		{name: "server", open: n.openServer, run: n.runServer, close: n.closeServer},
		{name: "connection", open: n.openConnection, close: n.closeConnection},
		{name: "log", open: n.openLog, close: func() error { return n.log.Close() }},
		{name: "actors", open: n.openActors, run: func(ctx context.Context) error { return n.actors.Run(ctx) }},
		{name: "views", open: n.openViews, run: n.runViews},
		{
			name: "gateway", open: n.openGateway, run: func(ctx context.Context) error { return n.gateway.Run(ctx) },
			ready: func() <-chan struct{} { return n.gateway.Ready() },
		},
	}
}

func (n *devNode) openHTTP(context.Context) (err error) {
	if n.listener, err = n.config.http.listen(); err != nil {
		return err
	}
	n.http = newHTTPServer(&n.health, n.metrics, n.session.logger)
	return nil
}

func (n *devNode) runHTTP(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- errors.Join(n.http.Shutdown(limited), n.http.Close())
	})
	err := n.http.Serve(n.listener)
	if stop() {
		return err // it ended by itself
	}
	<-stopped // a request that hangs on is cut off, which is no failure
	return nil
}

func (n *devNode) openServer(context.Context) (err error) {
	c := embedded.Config{
		Dir: n.config.dir, Host: n.config.nats.host, Port: n.config.nats.port, Sync: n.config.sync,
		Logger: n.session.logger, ServerName: n.session.app.Name + "-" + n.config.name,
	}
	n.server, err = embedded.Start(c)
	if errors.Is(err, embedded.ErrPortInUse) && !n.config.nats.chosen {
		c.Port = 0
		n.server, err = embedded.Start(c)
	}
	if errors.Is(err, embedded.ErrPortInUse) {
		return portTaken("nats", n.config.nats, err)
	}
	return err
}

// runServer ends early when the disk no longer keeps what it is given: from
// then on nothing can be acknowledged.
func (n *devNode) runServer(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.server.Failed():
		return fmt.Errorf("sync %s: %w", n.config.dir, embedded.ErrNotDurable)
	}
}

func (n *devNode) closeServer() error {
	n.server.Shutdown()
	return nil
}

func (n *devNode) openConnection(context.Context) (err error) {
	n.conn, err = n.server.Connect(
		nats.Name(n.session.app.Name+" node "+n.config.name),
		nats.MaxReconnects(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			n.session.logger.Warn("nats connection", "err", err)
		}),
	)
	return err
}

func (n *devNode) closeConnection() error {
	n.conn.Close()
	return nil
}

func (n *devNode) openLog(ctx context.Context) (err error) {
	n.log, err = jetstream.Open(ctx, jetstream.Config{
		Conn: n.conn, Namespace: n.session.Namespace(), InMemory: n.config.dir == "",
		Barrier: n.server.Barrier(), Logger: n.session.logger,
	})
	return err
}

func (n *devNode) openActors(context.Context) (err error) {
	n.actors, err = actor.NewSystem(actor.Config{
		Log: n.log, Snapshots: n.log.Snapshots(), Aggregates: n.session.app.Aggregates,
		Logger: n.session.logger, Registerer: n.metrics,
	})
	return err
}

func (n *devNode) openViews(context.Context) (err error) {
	n.views, err = projector.NewGroup(projector.Config{
		Log: n.log,
		Store: kv.New(kv.Config{
			Conn: n.conn, Namespace: n.session.Namespace(), InMemory: n.config.dir == "", Barrier: n.server.Barrier(),
		}),
		Projections: n.session.app.Projections,
		Logger:      n.session.logger, Registerer: n.metrics,
	})
	return err
}

// runViews runs the views; without any there is nothing to run, and the group
// would end by itself.
func (n *devNode) runViews(ctx context.Context) error {
	if len(n.session.app.Projections) == 0 {
		<-ctx.Done()
		return nil
	}
	return n.views.Run(ctx)
}

func (n *devNode) openGateway(context.Context) (err error) {
	n.gateway, err = gateway.New(gateway.Config{
		Conn: n.conn, Namespace: n.session.Namespace(), Actors: n.actors, Views: n.views,
		Placement: cluster.Single(n.config.name, n.log.Partitions()), Partitions: n.log.Partitions(),
		Node: n.config.name, Version: semantic(n.session.app),
		Logger: n.session.logger, Registerer: n.metrics,
	})
	return err
}

// probe looks at what readiness depends on while everything runs. A view that
// failed does not make the node unready: commands and other views are served.
func (n *devNode) probe() []check {
	checks := []check{{name: "nats"}}
	if status := n.conn.Status(); status != nats.CONNECTED {
		checks[0].reason = "not connected: " + status.String()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, v := range n.views.Status(ctx) {
		checks = append(checks, viewCheck(v))
	}
	return checks
}

func viewCheck(v projector.Status) check {
	c := check{name: "view " + v.Name}
	switch v.State {
	case projector.StateStarting, projector.StateStopped:
		c.reason = v.State
	case projector.StateFailed:
		c.reason, c.bearable = v.State+": "+v.Error, true
	}
	return c
}

// checkNames refuses, before anything is started, names that the parts would
// refuse in turn.
func checkNames(s *Session, node string) error {
	if err := store.ValidateName("namespace", s.Namespace()); err != nil {
		return Usage("--ns: %v", err)
	}
	if err := store.ValidateName("node name", node); err != nil {
		return Usage("--name: %v", err)
	}
	return nil
}
