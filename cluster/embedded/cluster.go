package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Cluster is NATS servers of one cluster in this process, all on the loopback
// interface. All methods may be called from many goroutines.
type Cluster struct {
	cfg     ClusterConfig
	temp    string    // directory that Shutdown removes, if there is one
	members []*member // fixed after StartCluster

	mu sync.Mutex
}

// member is one server, which keeps its ports and directory while it is stopped.
type member struct {
	cfg    Config
	routes natsserver.ClusterOpts
	peers  []*url.URL
	server *Server // nil while stopped
}

// StartCluster starts the servers and returns when they can create streams.
func StartCluster(cfg ClusterConfig) (*Cluster, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	// A port that was found free may be taken by somebody else before the
	// server has it. That is rare, so a few fresh starts do.
	const attempts = 5
	for attempt := 1; ; attempt++ {
		c, err := startCluster(cfg)
		if err == nil {
			return c, nil
		}
		if attempt == attempts || !errors.Is(err, ErrPortInUse) || cfg.named(err) {
			return nil, fmt.Errorf("start embedded cluster: %w", err)
		}
	}
}

func startCluster(cfg ClusterConfig) (*Cluster, error) {
	c := &Cluster{cfg: cfg}
	err := c.plan()
	if err == nil {
		err = c.startAll()
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.ReadyTimeout)
		defer cancel()
		err = c.WaitReady(ctx)
	}
	if err != nil {
		c.Shutdown()
		return nil, err
	}
	return c, nil
}

// named reports whether err is about the port that the configuration names,
// which no fresh start changes.
func (c ClusterConfig) named(err error) bool {
	taken, is := errors.AsType[*PortError](err)
	return is && taken.Address == net.JoinHostPort(loopback, strconv.Itoa(c.Port))
}

// plan gives each server its directory and its ports.
func (c *Cluster) plan() error {
	dir := c.cfg.Dir
	if dir == "" {
		var err error
		if dir, err = makeTempDir(); err != nil {
			return err
		}
		c.temp = dir
	}
	ports, err := FreePorts(2 * c.cfg.Servers)
	if err != nil {
		return err
	}
	clients, routes := ports[:c.cfg.Servers], ports[c.cfg.Servers:]
	clients[0] = cmp.Or(c.cfg.Port, clients[0])
	var peers []*url.URL
	for _, port := range routes {
		peers = append(peers, &url.URL{Scheme: "nats", Host: net.JoinHostPort(loopback, strconv.Itoa(port))})
	}
	for i := range c.cfg.Servers {
		name := fmt.Sprintf("%s-%d", c.cfg.Name, i+1)
		c.members = append(c.members, &member{
			cfg: Config{
				Dir: filepath.Join(dir, name), Port: clients[i], ServerName: name, Sync: c.cfg.Sync,
				Mappings: c.cfg.Mappings, Monitor: c.cfg.Monitor, Logger: c.cfg.Logger,
			}.withDefaults(),
			routes: natsserver.ClusterOpts{Name: c.cfg.Name, Host: loopback, Port: routes[i]},
			peers:  peers,
		})
	}
	return nil
}

// startAll starts all servers at once: none is ready before it has seen others.
func (c *Cluster) startAll() error {
	errs := make([]error, len(c.members))
	var all sync.WaitGroup
	for i := range c.members {
		all.Go(func() { errs[i] = c.Start(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (m *member) start() (*Server, error) {
	s := &Server{log: &logger{to: m.cfg.Logger}}
	s.log.routine.Store(true)
	dir, err := s.takeDir(m.cfg)
	if err == nil {
		err = errors.Join(checkPort(loopback, m.routes.Port), checkPort(loopback, m.cfg.Port))
	}
	if err == nil {
		var opts *natsserver.Options
		if opts, _, err = options(m.cfg, dir); err == nil {
			opts.Cluster, opts.Routes = m.routes, m.peers
			err = s.run(m.cfg, opts)
		}
	}
	if err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start server %s: %w", m.cfg.ServerName, err)
	}
	return s, nil
}

// Len returns the number of servers, stopped ones included.
func (c *Cluster) Len() int { return len(c.members) }

// Server returns server i in [0, Len), nil while it is stopped.
func (c *Cluster) Server(i int) *Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members[i].server
}

// URL returns the addresses of all servers, stopped ones included, as
// [nats.Connect] takes them.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.members))
	for i, m := range c.members {
		urls[i] = "nats://" + net.JoinHostPort(loopback, strconv.Itoa(m.cfg.Port))
	}
	return strings.Join(urls, ",")
}

// Connect returns a connection over loopback that moves on to another server
// when its own is stopped. It belongs to the caller, who closes it before Shutdown.
func (c *Cluster) Connect(opts ...nats.Option) (*nats.Conn, error) {
	defaults := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond)}
	nc, err := nats.Connect(c.URL(), append(defaults, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to cluster: %w", err)
	}
	return nc, nil
}

// Stop stops server i in an orderly way: it hands its leaderships over, as no
// crash does. Its directory and ports stay its own. Stopping a stopped server
// does nothing.
func (c *Cluster) Stop(i int) {
	c.mu.Lock()
	s := c.members[i].server
	c.members[i].server = nil
	c.mu.Unlock()
	if s != nil {
		s.log.routine.Store(true)
		s.Shutdown()
	}
}

// Start starts server i again, on its directory and ports. It does not wait
// for the server to catch up: see [Cluster.WaitReady].
func (c *Cluster) Start(i int) error {
	if c.Server(i) != nil {
		return nil
	}
	s, err := c.members[i].start()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[i].server = s
	return nil
}

// WaitReady returns when all servers that are not stopped see each other and
// a leader that can create streams, or when ctx ends. What they complain about
// until then is logged at debug level.
func (c *Cluster) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !c.ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the cluster's leader: %w", ctx.Err())
		}
	}
	c.routine(false)
	return nil
}

// routine says whether the running servers' warnings are routine.
func (c *Cluster) routine(is bool) {
	for i := range c.members {
		if s := c.Server(i); s != nil {
			s.log.routine.Store(is)
		}
	}
}

func (c *Cluster) ready() bool {
	running, leaders, current := 0, 0, 0
	for i := range c.members {
		s := c.Server(i)
		if s == nil {
			continue
		}
		running++
		if s.nats.JetStreamIsLeader() {
			leaders++
			current++
		} else if s.nats.JetStreamIsCurrent() {
			current++
		}
	}
	return running > 0 && leaders == 1 && current == running && c.linked(running)
}

// linked reports whether each running server has a route to all others.
func (c *Cluster) linked(running int) bool {
	for i := range c.members {
		if s := c.Server(i); s != nil && s.nats.NumRemotes() < running-1 {
			return false
		}
	}
	return true
}

// Shutdown stops all servers and removes what is temporary.
func (c *Cluster) Shutdown() {
	c.routine(true)
	var all sync.WaitGroup
	for i := range c.members {
		all.Go(func() { c.Stop(i) })
	}
	all.Wait()
	if c.temp != "" {
		removeDir(c.temp)
	}
}
