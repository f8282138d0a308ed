package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store/jetstream"
)

const (
	// devServers is how many servers the cluster of dev has: the fewest that
	// outlive the loss of one.
	devServers = 3
	// devClusterName begins the names of the servers, and of their directories.
	devClusterName = "annals"
	// devPartitions is fixed here because the servers' mapping has to know it
	// before there is a namespace.
	devPartitions = 128
)

// devCluster is several nodes on three servers in one process, to try a
// cluster out.
type devCluster struct {
	session *Session
	config  devConfig
	web     *web.Server
	servers *embedded.Cluster
	members []*member
}

func newDevCluster(s *Session, config devConfig) *devCluster {
	metrics := newMetrics(s.app)
	d := &devCluster{session: s, config: config}
	for _, name := range config.nodeNames() {
		d.members = append(d.members, &member{
			session: s,
			logger:  s.Logger().With("node", name),
			node:    cluster.Node{Name: name, Version: version(s.app), Roles: cluster.AllRoles()},
			dial:    func(_ context.Context, opts ...nats.Option) (*nats.Conn, error) { return d.servers.Connect(opts...) },
			log:     jetstream.Config{Partitions: devPartitions, Replicas: devServers, InMemory: config.dir == "", KeepCommands: config.keep},
			store:   config.views,
			wrapper: config.wrapper,
			asked:   config.asked,
			metrics: prometheus.WrapRegistererWith(prometheus.Labels{"node": name}, metrics),
		})
	}
	d.members[0].look = s.hintAtOthers
	d.web = newWeb(s, config.http, config.asked, metrics, d.probe)
	return d
}

func (d *devCluster) process() *process {
	parts := []boot.Part{{Name: "servers", Open: d.openServers, Close: d.closeServers}}
	// All nodes are made before the first joins, so that they share the
	// partitions at once instead of moving them with each that comes.
	var joins []boot.Part
	for _, m := range d.members {
		own := m.parts()
		for i := range own {
			own[i].Name = m.node.Name + " " + own[i].Name
		}
		last := len(own) - 1
		parts, joins = append(parts, own[:last]...), append(joins, own[last])
	}
	door := api{session: d.session, web: d.web, asked: d.config.asked, dial: d.members[0].dial}
	parts = append(append(parts, joins...), boot.Part{Name: "partitions", Open: d.awaitOwners}, door.part())
	return &process{
		session: d.session, web: d.web, parts: parts, announce: d.announce, handsOver: true,
	}
}

// awaitOwners returns when each partition is served by some node. The servers
// send commands straight to the owners, so before that a client would be told
// that nobody responds.
func (d *devCluster) awaitOwners(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, boot.StopLimit)
	defer cancel()
	placement := d.members[0].placement()
	for {
		changed := placement.Changed()
		if allOwned(placement) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait until all partitions are served: %w", ctx.Err())
		}
	}
}

func allOwned(placement cluster.Placement) bool {
	for p := range devPartitions {
		if node, _ := placement.Owner(p); node == "" {
			return false
		}
	}
	return true
}

func (d *devCluster) openServers(context.Context) (err error) {
	from, to := gateway.Mapping(d.session.Namespace(), devPartitions)
	c := embedded.ClusterConfig{
		Servers: devServers, Name: devClusterName, Dir: d.config.dir, Sync: d.config.sync, Port: d.config.nats.Port,
		Mappings: map[string]string{from: to}, Logger: d.session.Logger(),
	}
	if d.config.dir == "" {
		c.Sync = embedded.SyncNone
	}
	d.servers, err = embedded.StartCluster(c)
	if errors.Is(err, embedded.ErrPortInUse) && !d.config.nats.Chosen {
		c.Port = 0
		d.servers, err = embedded.StartCluster(c)
	}
	if errors.Is(err, embedded.ErrPortInUse) {
		return d.config.nats.Taken("nats", err)
	}
	return err
}

func (d *devCluster) closeServers() error {
	d.servers.Shutdown()
	return nil
}

func (d *devCluster) announce(took time.Duration) error {
	return d.config.announce(d.session, d.config.info(d.session, d.servers.URL(), d.web, took))
}

func (d *devCluster) probe() []web.Check {
	var checks []web.Check
	for _, m := range d.members {
		for _, c := range m.probe() {
			c.Name = m.node.Name + " " + c.Name
			checks = append(checks, c)
		}
	}
	return checks
}
