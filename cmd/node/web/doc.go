// Package web is how a node listens for HTTP.
//
//	server := web.New(web.Config{At: at, Access: access, Metrics: registry, Logger: logger})
//	parts := append([]boot.Part{server.Part()}, others...)
//	server.Health().Expect(parts)
//	…
//	server.Serve(api)
//
// It owns addresses, TLS, who may come, the bounds of connections, the probes
// /livez and /readyz, and that /metrics is served: all of it holds before the
// first part of the node is up and while the last one stops.
//
// It never connects to NATS, and knows no command, event or view: what is
// answered below /v1/ is a handler's that it is given, and what is measured is the registry's.
package web
