package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/annals-go/annals/gateway"
)

// handler serves the probes and the metrics, and below /v1/ the API, or one of both.
func (w *web) handler(probes, api bool) http.Handler {
	mux, access := http.NewServeMux(), w.access
	if probes {
		mux.HandleFunc("GET /livez", live)
		mux.HandleFunc("GET /readyz", w.health.ready)
		mux.Handle("GET /metrics", access.local(access.admitting(gateway.KindInspect, promhttp.HandlerFor(w.metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 8}))))
	}
	if api {
		mux.Handle("/v1/", access.local(&w.door))
	}
	return http.MaxBytesHandler(access.protect(mux), 1<<20)
}

// newHTTPServer limits a handler: slow and endless requests hold on to nothing.
func newHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // what clients do wrong
	}
}

// webServer answers at one address.
type webServer struct {
	listener net.Listener
	server   *http.Server
	scheme   string
}

func (s *webServer) url() string { return s.scheme + s.listener.Addr().String() }

// run serves until ctx ends, or it cannot any more.
func (s *webServer) run(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- errors.Join(s.server.Shutdown(limited), s.server.Close())
	})
	err := s.serve()
	if stop() {
		return err // it ended by itself
	}
	<-stopped // a request that hangs on is cut off, which is no failure
	return nil
}

func (s *webServer) serve() error {
	if s.server.TLSConfig == nil {
		return s.server.Serve(s.listener)
	}
	return s.server.ServeTLS(s.listener, "", "")
}
