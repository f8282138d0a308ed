package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/store/jetstream"
)

// devNode is everything in one process: a server, and the one node on it.
type devNode struct {
	session *Session
	config  devConfig
	web     *web.Server
	server  *embedded.Server
	disk    *nats.Conn // by which others ask for the barrier; nil if there is none
	member  *member
}

func newDevNode(s *Session, config devConfig) *devNode {
	metrics := newMetrics(s.app)
	n := &devNode{session: s, config: config}
	n.member = &member{
		session: s, logger: s.Logger(), alone: true, metrics: metrics,
		node: cluster.Node{Name: config.name},
		dial: func(_ context.Context, opts ...nats.Option) (*nats.Conn, error) { return n.server.Connect(opts...) },
		log:  jetstream.Config{InMemory: config.dir == "", KeepCommands: config.keep}, store: config.views, wrapper: config.wrapper, asked: config.asked,
		look: s.hintAtOthers,
		check: func(_ context.Context, conn *nats.Conn) error {
			return cluster.ServeAlone(conn, s.Namespace(), config.name)
		},
	}
	n.web = newWeb(s, config.http, config.asked, metrics, n.member.probe)
	return n
}

func (n *devNode) process() *process {
	server := boot.Part{Name: "server", Open: n.openServer, Run: n.runServer, Close: n.closeServer}
	door := api{session: n.session, web: n.web, asked: n.config.asked, dial: n.member.dial}
	parts := append([]boot.Part{server}, n.member.parts()...)
	return &process{session: n.session, web: n.web, parts: append(parts, door.part()), announce: n.announce}
}

func (n *devNode) openServer(context.Context) (err error) {
	c := embedded.Config{
		Dir: n.config.dir, Host: n.config.nats.Host, Port: n.config.nats.Port, Sync: n.config.sync,
		Logger: n.session.Logger(), ServerName: n.session.app.Name + "-" + n.config.name,
	}
	n.config.access.configure(&c)
	n.server, err = embedded.Start(c)
	if errors.Is(err, embedded.ErrPortInUse) && !n.config.nats.Chosen {
		c.Port = 0
		n.server, err = embedded.Start(c)
	}
	if errors.Is(err, embedded.ErrPortInUse) {
		return n.config.nats.Taken("nats", err)
	}
	if err != nil {
		return err
	}
	if n.member.log.Barrier = n.server.Barrier(); n.member.log.Barrier == nil {
		return nil
	}
	if n.disk, err = n.server.Connect(nats.Name(n.session.app.Name+" disk"), nats.MaxReconnects(-1)); err == nil {
		err = offerBarrier(n.disk, n.member.log.Barrier)
	}
	if err != nil {
		_ = n.closeServer() // the error that counts is at hand
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
	if n.disk != nil {
		n.disk.Close()
	}
	n.server.Shutdown()
	return nil
}

func (n *devNode) announce(took time.Duration) error {
	return n.config.announce(n.session, n.config.info(n.session, n.server.URL(), n.web, took))
}
