//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/harness"
)

// server is one NATS server.
type server struct {
	name, dir             string
	client, route, status int // ports
	process               *harness.Process
}

func (s *server) url() string     { return fmt.Sprintf("nats://127.0.0.1:%d", s.client) }
func (s *server) monitor() string { return fmt.Sprintf("http://127.0.0.1:%d", s.status) }

// servers are a cluster.
type servers []*server

// startLimit bounds the start of everything.
const startLimit = 2 * time.Minute

func startServers(ctx context.Context, program, dir string, n int) (servers, error) {
	const portsEach = 3
	ports, err := embedded.FreePorts(portsEach * n)
	if err != nil {
		return nil, err
	}
	var all servers
	for i := range n {
		p := ports[portsEach*i:]
		all = append(all, &server{name: fmt.Sprintf("n%d", i+1), dir: filepath.Join(dir, fmt.Sprintf("n%d", i+1)), client: p[0], route: p[1], status: p[2]})
	}
	for _, s := range all {
		if err := s.configure(all); err != nil {
			return all, err
		}
		if s.process, err = harness.Start(filepath.Join(s.dir, "log"), program, "-c", filepath.Join(s.dir, "nats.conf")); err != nil {
			return all, err
		}
	}
	for _, s := range all {
		if err := s.process.Ready(ctx, startLimit, func() error { return healthy(ctx, s.monitor()+"/healthz") }); err != nil {
			return all, err
		}
	}
	return all, nil
}

// configure writes the server's configuration: it says all that it can without
// writing down what is sent.
func (s *server) configure(all servers) error {
	var routes []string
	for _, o := range all {
		if o != s {
			routes = append(routes, fmt.Sprintf("%q", fmt.Sprintf("nats-route://127.0.0.1:%d", o.route)))
		}
	}
	text := fmt.Sprintf(`server_name: %s
listen: "127.0.0.1:%d"
http: "127.0.0.1:%d"
debug: true
jetstream { store_dir: %q, sync_interval: always, max_memory_store: 256MB, max_file_store: 16GB }
cluster { name: annals, listen: "127.0.0.1:%d", no_advertise: true, routes: [%s] }
`, s.name, s.client, s.status, filepath.Join(s.dir, "data"), s.route, strings.Join(routes, ", "))
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "nats.conf"), []byte(text), 0o600)
}

func (all servers) urls() string {
	var urls []string
	for _, s := range all {
		urls = append(urls, s.url())
	}
	return strings.Join(urls, ",")
}

func (all servers) monitors() string {
	var urls []string
	for _, s := range all {
		urls = append(urls, s.monitor())
	}
	return strings.Join(urls, ",")
}

func (all servers) connect() (*nats.Conn, error) {
	return nats.Connect(all.urls(), nats.Name("canary"), nats.MaxReconnects(-1))
}

// stopLimit is how long a process may take to end in good order.
const stopLimit = time.Minute

func (all servers) stop() error {
	for _, s := range all {
		if err := s.process.Stop(stopLimit); err != nil {
			return fmt.Errorf("stop server %s: %w", s.name, err)
		}
	}
	return nil
}

func (all servers) kill() {
	for _, s := range all {
		if s.process != nil {
			s.process.Kill()
		}
	}
}

// healthy returns nil if a page answers well.
func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}
