package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// web is what a process serves over HTTP: probes, metrics, and the API where it
// has one.
type web struct {
	session *Session
	wanted  address
	health  health
	door    door
	metrics *prometheus.Registry

	listener net.Listener
	server   *http.Server
}

func newWeb(s *Session, wanted address) *web {
	return &web{session: s, wanted: wanted, metrics: newMetrics(s.app)}
}

// part is the first to start and the last to stop, so that probes are answered
// throughout.
func (w *web) part() part { return part{name: "http", open: w.open, run: w.run} }

// URL is where it is reached once it is open.
func (w *web) url() string { return "http://" + w.listener.Addr().String() }

func (w *web) open(context.Context) (err error) {
	if w.listener, err = w.wanted.listen(); err != nil {
		return err
	}
	w.server = newHTTPServer(&w.health, w.metrics, &w.door, w.session.logger)
	return nil
}

func (w *web) run(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- errors.Join(w.server.Shutdown(limited), w.server.Close())
	})
	err := w.server.Serve(w.listener)
	if stop() {
		return err // it ended by itself
	}
	<-stopped // a request that hangs on is cut off, which is no failure
	return nil
}

// httpPaths names what there is below the address, for banners.
func httpPaths(api bool) string {
	if api {
		return " /v1 /livez /readyz /metrics"
	}
	return " /livez /readyz /metrics"
}
