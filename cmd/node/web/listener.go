package web

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
func (s *Server) handler(probes, api bool) http.Handler {
	mux, access := http.NewServeMux(), s.config.Access
	if probes {
		mux.HandleFunc("GET /livez", live)
		mux.Handle("GET /readyz", s.health.handler(access))
		mux.Handle("GET /metrics", access.local(access.admitting(gateway.KindInspect, promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 8}))))
	}
	if api {
		mux.Handle("/v1/", access.local(&s.door))
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

// listener answers at one address.
type listener struct {
	net.Listener
	server *http.Server
	scheme string
}

func (l *listener) url() string { return l.scheme + l.Addr().String() }

// run serves until ctx ends, or it cannot any more.
func (l *listener) run(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		stopped <- errors.Join(l.server.Shutdown(limited), l.server.Close())
	})
	err := l.serve()
	if stop() {
		return err // it ended by itself
	}
	<-stopped // a request that hangs on is cut off, which is no failure
	return nil
}

func (l *listener) serve() error {
	if l.server.TLSConfig == nil {
		return l.server.Serve(l.Listener)
	}
	return l.server.ServeTLS(l.Listener, "", "")
}
