//go:build linux

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/annals-go/annals/test/harness"
)

// Place is where a server, and the node beside it, run. The zero Place is this
// machine's loopback interface.
type Place struct {
	// Host is the address that the server listens on.
	Host string
	// Enter is the beginning of a command line that runs the rest of it there.
	Enter []string
	// Dial connects from there.
	Dial func(network, address string) (net.Conn, error)
}

func (p Place) withDefaults() Place {
	if p.Host == "" {
		p.Host = "127.0.0.1"
	}
	if p.Dial == nil {
		p.Dial = func(network, address string) (net.Conn, error) {
			return net.DialTimeout(network, address, 2*time.Second)
		}
	}
	return p
}

// Server is one NATS server of the cluster.
type Server struct {
	Name  string
	Place Place

	program               string
	dir                   string
	client, route, status int // ports
	process               *harness.Process
}

// URL is where clients connect.
func (s *Server) URL() string { return fmt.Sprintf("nats://%s:%d", s.Place.Host, s.client) }

// Monitor is where the server tells how it is set up.
func (s *Server) Monitor() string { return fmt.Sprintf("http://%s:%d", s.Place.Host, s.status) }

// Process returns the running process; nil before the first start.
func (s *Server) Process() *harness.Process { return s.process }

// configure writes the server's configuration: replicated, and synced at each
// write, so that an acknowledgement promises what it does in production.
func (s *Server) configure(all []*Server) error {
	var routes []string
	for _, o := range all {
		if o != s {
			routes = append(routes, fmt.Sprintf("%q", fmt.Sprintf("nats-route://%s:%d", o.Place.Host, o.route)))
		}
	}
	text := fmt.Sprintf(`server_name: %s
listen: "%s:%d"
http: "%s:%d"
jetstream {
  store_dir: %q
  sync_interval: always
  max_memory_store: 256MB
  max_file_store: 8GB
}
cluster {
  name: annals
  listen: "%s:%d"
  no_advertise: true
  routes: [%s]
}
`, s.Name, s.Place.Host, s.client, s.Place.Host, s.status, filepath.Join(s.dir, "data"),
		s.Place.Host, s.route, strings.Join(routes, ", "))
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.config(), []byte(text), 0o600)
}

func (s *Server) config() string { return filepath.Join(s.dir, "nats.conf") }

// Start starts the process; it does not wait until it serves.
func (s *Server) Start() (err error) {
	line := append(append([]string{}, s.Place.Enter...), s.program, "-c", s.config())
	s.process, err = harness.Start(filepath.Join(s.dir, "log"), line...)
	return err
}

// Healthy returns nil when the server says that all it holds is current.
func (s *Server) Healthy(ctx context.Context) error {
	if err := s.process.Ended(); err != nil {
		return err
	}
	return get(ctx, s.Place, s.Monitor()+"/healthz", nil)
}

// get reads a page from where place is, and decodes its JSON into v unless v
// is nil.
func get(ctx context.Context, place Place, url string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return place.Dial(network, address)
		},
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(v)
}
