package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store/jetstream"
)

const namespace = "bench"

// lab is one fresh server, or a few, with a log on them, for one scenario.
type lab struct {
	dir      string // for what is kept while it lasts
	servers  []*embedded.Server
	replicas int // of every stream
	conn     *nats.Conn
	log      *jetstream.Log
	seconds  time.Duration // of one measurement
	cleanup  []func()
}

func newLab(ctx context.Context, s scenario, measure time.Duration) (_ *lab, err error) {
	l := &lab{seconds: measure, replicas: max(s.servers, 1)}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	dir, err := os.MkdirTemp("", "annals-bench-")
	if err != nil {
		return nil, err
	}
	l.dir = dir
	l.onClose(func() { _ = os.RemoveAll(dir) })
	if err := l.start(dir, s.sync); err != nil {
		return nil, err
	}
	if l.conn, err = l.connect(); err != nil {
		return nil, err
	}
	l.log, err = l.open(ctx, l.conn, namespace)
	return l, err
}

func (l *lab) start(dir string, sync embedded.Sync) error {
	quiet := slog.New(slog.DiscardHandler)
	if l.replicas == 1 {
		server, err := embedded.Start(embedded.Config{Dir: dir, Sync: sync, Logger: quiet})
		if err == nil {
			l.servers = []*embedded.Server{server}
			l.onClose(server.Shutdown)
		}
		return err
	}
	c, err := embedded.StartCluster(embedded.ClusterConfig{Servers: l.replicas, Dir: dir, Sync: sync, Logger: quiet})
	if err != nil {
		return err
	}
	l.onClose(c.Shutdown)
	for i := range c.Len() {
		l.servers = append(l.servers, c.Server(i))
	}
	return nil
}

// barrier makes acknowledged writes durable; nil where nothing is needed.
func (l *lab) barrier() func(context.Context) error { return l.servers[0].Barrier() }

// open opens a namespace's log, which it makes if need be.
func (l *lab) open(ctx context.Context, conn *nats.Conn, namespace string) (*jetstream.Log, error) {
	log, err := jetstream.Open(ctx, jetstream.Config{
		Conn: conn, Namespace: namespace, Replicas: l.replicas, Barrier: l.barrier(), Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		l.onClose(func() { _ = log.Close() })
	}
	return log, err
}

func (l *lab) onClose(f func()) { l.cleanup = append(l.cleanup, f) }

func (l *lab) close() {
	for len(l.cleanup) > 0 {
		last := len(l.cleanup) - 1
		l.cleanup[last]()
		l.cleanup = l.cleanup[:last]
	}
}

func (l *lab) connect() (*nats.Conn, error) { return l.connectTo(l.servers[0]) }

func (l *lab) connectTo(server *embedded.Server) (*nats.Conn, error) {
	nc, err := server.Connect()
	if err == nil {
		l.onClose(nc.Close)
	}
	return nc, err
}

// leader returns the server that leads a stream. What is compared connects
// there on both sides, so that no side pays for a way between servers that the
// other is spared by luck.
func (l *lab) leader(ctx context.Context, stream string) (*embedded.Server, error) {
	if len(l.servers) == 1 {
		return l.servers[0], nil
	}
	js, err := natsjs.New(l.conn)
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	for _, server := range l.servers {
		nc, err := server.Connect()
		if err != nil {
			return nil, err
		}
		name := nc.ConnectedServerName()
		nc.Close()
		if c := s.CachedInfo().Cluster; c != nil && c.Leader == name {
			return server, nil
		}
	}
	return nil, fmt.Errorf("stream %s has no leader", stream)
}

// background runs a part of the system until the lab closes.
func (l *lab) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ctx)
	}()
	l.onClose(func() {
		cancel()
		<-done
	})
}

func (l *lab) system(change func(*actor.Config)) (*actor.System, error) {
	config := actor.Config{
		Log: l.log, Snapshots: l.log.Snapshots(), Aggregates: []actor.Definition{Notebooks},
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	system, err := actor.NewSystem(config)
	if err == nil {
		l.background(system.Run)
	}
	return system, err
}

// client returns a client, on a connection of its own, of a gateway.
func (l *lab) client(ctx context.Context, system *actor.System) (*gateway.Client, error) {
	g, err := gateway.New(gateway.Config{Conn: l.conn, Namespace: namespace, Actors: system, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	l.background(g.Run)
	if err := await(ctx, g.Ready()); err != nil {
		return nil, err
	}
	nc, err := l.connect()
	if err != nil {
		return nil, err
	}
	return gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: namespace})
}

// startLimit bounds what is waited for: before something is measured, and by a
// client of a site.
const startLimit = 30 * time.Second

func await(ctx context.Context, ready <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lab) views(projections ...projector.Definition) (*projector.Group, error) {
	group, err := projector.NewGroup(projector.Config{
		Log: l.log, Store: kv.New(kv.Config{Conn: l.conn, Namespace: namespace, Barrier: l.barrier()}), Projections: projections,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		l.background(group.Run)
	}
	return group, err
}
