package node

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/cmd/node/boot"
)

// web is what a process serves over HTTP: probes, metrics, and the API where it
// has one.
type web struct {
	session *Session
	wanted  address
	access  httpAccess
	health  health
	door    door
	metrics *prometheus.Registry
	crowded prometheus.Counter

	main   *webServer
	probes *webServer // nil: main has them, too
}

func newWeb(s *Session, wanted address, access httpAccess) *web {
	w := &web{session: s, wanted: wanted, access: access, metrics: newMetrics(s.app), crowded: newCrowded()}
	w.health.access = access
	w.metrics.MustRegister(w.crowded)
	return w
}

// part is the first to start and the last to stop, so that probes are answered
// throughout.
func (w *web) part() boot.Part { return boot.Part{Name: "http", Open: w.open, Run: w.run} }

// url is where it is reached once it is open.
func (w *web) url() string { return w.main.url() }

// probesURL is where probes and metrics are reached then, if that is an address of their own.
func (w *web) probesURL() string {
	if w.probes == nil {
		return ""
	}
	return w.probes.url()
}

func (w *web) open(context.Context) (err error) {
	apart := w.access.probes != nil
	if w.main, err = w.serverAt("http", w.wanted, !apart, true); err != nil || !apart {
		return err
	}
	if w.probes, err = w.serverAt("probes", *w.access.probes, true, false); err != nil {
		_ = w.main.listener.Close() // the error that counts is at hand
	}
	return err
}

// serverAt listens for what one address has.
func (w *web) serverAt(flag string, at address, probes, api bool) (*webServer, error) {
	l, err := at.listen(flag)
	if err != nil {
		return nil, err
	}
	server := newHTTPServer(w.handler(probes, api), w.session.Logger())
	server.TLSConfig = w.access.tls
	return &webServer{listener: bounded(l, w.access.connections(), w.crowded), server: server, scheme: w.access.scheme()}, nil
}

// run also keeps the tokens up to date, until ctx ends.
func (w *web) run(ctx context.Context) error {
	known, forget := context.WithCancel(ctx)
	defer forget()
	if w.access.tokens != nil {
		go func() { _ = w.access.tokens.Run(known) }() // it returns nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, s := range []*webServer{w.main, w.probes} {
		if s != nil {
			all.Go(func() error { return s.run(ctx) })
		}
	}
	return all.Wait()
}

// httpPaths names what there is below an address, for banners.
func httpPaths(api, probes bool) (paths string) {
	if api {
		paths = " /v1"
	}
	if probes {
		paths += " /livez /readyz /metrics"
	}
	return paths
}
