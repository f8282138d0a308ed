package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/cmd/node/boot"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	var held bool
	s := New(Config{Metrics: prometheus.NewRegistry(), Probe: func() []Check {
		if held {
			return []Check{{Name: "nats"}, {Name: "view a", Reason: "failed: damaged", Bearable: true}}
		}
		return []Check{{Name: "nats", Reason: "not connected: RECONNECTING"}}
	}, Logger: slog.New(slog.DiscardHandler)})
	h, server := s.Health(), s.handler(true, true)
	h.Expect([]boot.Part{{Name: "log"}, {Name: "gateway"}})
	for _, step := range []struct {
		name   string
		do     func()
		path   string
		status int
		body   string
	}{
		{"nothing is up yet", func() {}, "/readyz", 503, "[-] log: not started\n[-] gateway: not started\nnot ready\n"},
		{"a process that is not ready lives", func() {}, "/livez", 200, "alive\n"},
		{"one part is up", func() { h.Set("log", boot.Running); h.Set("gateway", boot.Starting) }, "/readyz", 503, "[+] log\n[-] gateway: starting\nnot ready\n"},
		{"all are up and nobody was told", func() { h.Set("gateway", boot.Running) }, "/readyz", 503, "[+] log\n[+] gateway\nnot ready\n"},
		{"the connection is down", func() { h.Announce() }, "/readyz", 503, "[+] log\n[+] gateway\n[-] nats: not connected: RECONNECTING\nnot ready\n"},
		{"everything holds", func() { held = true }, "/readyz", 200, "ready\n"},
		{"asked for the reasons", func() {}, "/readyz?verbose", 200, "[+] log\n[+] gateway\n[+] nats\n[!] view a: failed: damaged\nready\n"},
		{"it stops", func() { h.Set("gateway", boot.Stopping) }, "/readyz", 503, "[+] log\n[-] gateway: stopping\nnot ready\n"},
	} {
		step.do()
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, step.path, nil))
		if w.Code != step.status {
			t.Errorf("%s: status %d, want %d", step.name, w.Code, step.status)
		}
		if diff := cmp.Diff(step.body, w.Body.String()); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}
