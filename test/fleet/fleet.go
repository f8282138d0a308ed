//go:build linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
)

// Config says what a [Fleet] consists of. Dir and Programs are needed.
type Config struct {
	// Dir is an existing directory for data, configurations and logs.
	Dir string
	// Programs are the binaries.
	Programs Programs
	// Places are where servers and nodes run, one of each at each place. Default
	// three times the loopback interface.
	Places []Place
	// OwnServer: each node knows only the server at its own place. Default
	// false: all of them.
	OwnServer bool
	// NodeArguments are added to the command line of each node. Default none.
	NodeArguments []string
	// Front makes something that stands before the server at a node's own place, and returns
	// its URL: the only one that the node knows then. Default nothing.
	Front func(node string, server *Server) (url string, err error)
}

// Fleet is a cluster of NATS servers and of nodes, as many of each.
type Fleet struct {
	Servers []*Server
	Nodes   []*Node
	// Admin looks into the directory, over the connection Conn.
	Admin *cluster.Admin
	Conn  *nats.Conn

	config Config
}

// startLimit bounds the start of everything.
const startLimit = time.Minute

// Start starts all servers, then all nodes, and returns when every partition
// is where it belongs. It leaves nothing running when it fails.
func Start(ctx context.Context, config Config) (*Fleet, error) {
	if len(config.Places) == 0 {
		config.Places = make([]Place, 3)
	}
	f := &Fleet{config: config}
	err := f.place()
	if err == nil {
		err = f.start(ctx)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("start the cluster: %w", err)
	}
	return f, nil
}

// portsEach is how many ports a place needs: three of the server, one of the node.
const portsEach = 4

func (f *Fleet) place() error {
	ports, err := embedded.FreePorts(portsEach * len(f.config.Places))
	if err != nil {
		return err
	}
	for i, place := range f.config.Places {
		name, ports := fmt.Sprintf("n%d", i+1), ports[portsEach*i:]
		f.Servers = append(f.Servers, &Server{
			Name: name, Place: place.withDefaults(), program: f.config.Programs.Server, dir: filepath.Join(f.config.Dir, name),
			client: ports[0], route: ports[1], status: ports[2],
		})
	}
	for i, s := range f.Servers {
		if err := s.configure(f.Servers); err != nil {
			return err
		}
		n := &Node{Name: string(rune('A' + i)), Place: s.Place, program: f.config.Programs.Loans, dir: f.config.Dir, http: ports[portsEach*i+3], all: f.Servers, extra: f.config.NodeArguments}
		n.servers = f.Servers
		if f.config.OwnServer {
			n.servers = f.Servers[i : i+1]
		}
		if f.config.Front != nil {
			if n.front, err = f.config.Front(n.Name, s); err != nil {
				return err
			}
		}
		f.Nodes = append(f.Nodes, n)
	}
	return nil
}

func (f *Fleet) start(ctx context.Context) error {
	for _, s := range f.Servers {
		if err := s.Start(); err != nil {
			return err
		}
	}
	err := Until(ctx, startLimit, "the servers are up", func() error { return f.serversHealthy(ctx) })
	if err != nil {
		return err
	}
	if f.Conn, err = f.Connect(f.Servers...); err != nil {
		return err
	}
	for _, n := range f.Nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	err = Until(ctx, startLimit, "the namespace has a directory", func() (err error) {
		if err := f.ended(); err != nil {
			return err
		}
		f.Admin, err = cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: f.Conn, Namespace: Namespace})
		return err
	})
	if err != nil {
		return err
	}
	return f.Settled(ctx, startLimit)
}

// Connect makes a connection to one of the servers, from the first one's
// place, that is made anew for ever.
func (f *Fleet) Connect(servers ...*Server) (*nats.Conn, error) {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	return nats.Connect(strings.Join(urls, ","),
		nats.Name("fleet"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.Timeout(2*time.Second),
		nats.SetCustomDialer(dialer(servers[0].Place.Dial)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	)
}

type dialer func(network, address string) (net.Conn, error)

// Dial connects from where the dialer is.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// ended says which process ended by itself.
func (f *Fleet) ended() error {
	var errs []error
	for _, s := range f.Servers {
		if s.process != nil {
			errs = append(errs, s.process.Ended())
		}
	}
	for _, n := range f.Nodes {
		if n.process != nil {
			errs = append(errs, n.process.Ended())
		}
	}
	return errors.Join(errs...)
}

// Close ends all processes, also the paused ones, and leaves the files.
func (f *Fleet) Close() {
	if f.Conn != nil {
		f.Conn.Close()
	}
	for _, n := range f.Nodes {
		if n.process != nil {
			n.process.Kill()
		}
	}
	for _, s := range f.Servers {
		if s.process != nil {
			s.process.Kill()
		}
	}
}

// Remove removes the files of a closed fleet.
func (f *Fleet) Remove() error { return os.RemoveAll(f.config.Dir) }
