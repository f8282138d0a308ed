package web

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/cmd/node/boot"
)

// Config says what a server serves, where, and to whom.
type Config struct {
	// At is where it listens, for --http.
	At Address
	// Access says who may come.
	Access Access
	// Metrics are what /metrics serves. The server adds its own.
	Metrics *prometheus.Registry
	// Probe looks at what may change while the parts run. May be nil.
	Probe func() []Check
	// Logger is told what clients do wrong, at level debug.
	Logger *slog.Logger
}

// Server is what a process serves over HTTP: probes, metrics, and the API where it
// has one.
type Server struct {
	config  Config
	health  Health
	door    door
	crowded prometheus.Counter

	main   *listener
	probes *listener // nil: main has them, too
}

// New returns a server that does not listen yet. It panics if the registry
// already has the metrics of another one.
func New(c Config) *Server {
	s := &Server{config: c, crowded: newCrowded()}
	s.health.probe = c.Probe
	c.Metrics.MustRegister(s.crowded)
	return s
}

// Part is the first to start and the last to stop, so that probes are answered
// throughout.
func (s *Server) Part() boot.Part { return boot.Part{Name: "http", Open: s.open, Run: s.run} }

// Health is what /readyz tells.
func (s *Server) Health() *Health { return &s.health }

// URL is where it is reached once it is open.
func (s *Server) URL() string { return s.main.url() }

// ProbesURL is where probes and metrics are reached then; "" if they have no
// address of their own.
func (s *Server) ProbesURL() string {
	if s.probes == nil {
		return ""
	}
	return s.probes.url()
}

// Serve has api answer what is below /v1/ from now on; nil takes it away again,
// as it is before the first call. Requests that it has begun are not cut off.
func (s *Server) Serve(api http.Handler) { s.door.open(api) }

func (s *Server) open(context.Context) (err error) {
	probes := s.config.Access.Probes
	if s.main, err = s.listenAt("http", s.config.At, probes == nil, true); err != nil || probes == nil {
		return err
	}
	if s.probes, err = s.listenAt("probes", *probes, true, false); err != nil {
		_ = s.main.Close() // the error that counts is at hand
	}
	return err
}

// listenAt listens for what one address has.
func (s *Server) listenAt(flag string, at Address, probes, api bool) (*listener, error) {
	l, err := at.listen(flag)
	if err != nil {
		return nil, err
	}
	access := s.config.Access
	server := newHTTPServer(s.handler(probes, api), s.config.Logger)
	server.TLSConfig = access.TLS
	return &listener{Listener: bounded(l, access.connections(), s.crowded), server: server, scheme: access.scheme()}, nil
}

// run also keeps the tokens up to date, until ctx ends.
func (s *Server) run(ctx context.Context) error {
	known, forget := context.WithCancel(ctx)
	defer forget()
	if tokens := s.config.Access.Tokens; tokens != nil {
		go func() { _ = tokens.Run(known) }() // it returns nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, l := range []*listener{s.main, s.probes} {
		if l != nil {
			all.Go(func() error { return l.run(ctx) })
		}
	}
	return all.Wait()
}

// Paths names what there is below an address, for banners: each after a space.
func Paths(api, probes bool) (paths string) {
	if api {
		paths = " /v1"
	}
	if probes {
		paths += " /livez /readyz /metrics"
	}
	return paths
}
