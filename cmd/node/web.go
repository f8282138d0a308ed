package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
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

	listener net.Listener
	server   *http.Server
}

func newWeb(s *Session, wanted address, access httpAccess) *web {
	return &web{session: s, wanted: wanted, access: access, metrics: newMetrics(s.app)}
}

// part is the first to start and the last to stop, so that probes are answered
// throughout.
func (w *web) part() part { return part{name: "http", open: w.open, run: w.run} }

// URL is where it is reached once it is open.
func (w *web) url() string { return w.access.scheme() + w.listener.Addr().String() }

func (w *web) open(context.Context) (err error) {
	if w.listener, err = w.wanted.listen(); err != nil {
		return err
	}
	w.listener = netutil.LimitListener(w.listener, maxConnections)
	w.server = newHTTPServer(&w.health, w.metrics, &w.door, w.access, w.session.logger)
	return nil
}

// run also keeps the tokens up to date, until ctx ends.
func (w *web) run(ctx context.Context) error {
	known, forget := context.WithCancel(ctx)
	defer forget()
	if w.access.tokens != nil {
		go func() { _ = w.access.tokens.Run(known) }() // it returns nil
	}
	return w.serve(ctx)
}

func (w *web) serve(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- errors.Join(w.server.Shutdown(limited), w.server.Close())
	})
	err := w.listen()
	if stop() {
		return err // it ended by itself
	}
	<-stopped // a request that hangs on is cut off, which is no failure
	return nil
}

func (w *web) listen() error {
	if w.server.TLSConfig = w.access.tls; w.access.tls == nil {
		return w.server.Serve(w.listener)
	}
	return w.server.ServeTLS(w.listener, "", "")
}

// httpPaths names what there is below the address, for banners.
func httpPaths(api bool) string {
	if api {
		return " /v1 /livez /readyz /metrics"
	}
	return " /livez /readyz /metrics"
}
