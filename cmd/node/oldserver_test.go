package node

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/servers"
)

// A node asks the server that it is connected to for its version.
func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s, _, _ := testSession(nil)
	p := newProduction(s, nodeConfig{promise: servers.Single, replicas: 1})
	p.version = func(*nats.Conn) string { return "2.11.9" }
	f, is := errors.AsType[*Failure](p.check(t.Context(), nc))
	if !is || f.Code != servers.CodeTooOld || !strings.Contains(f.Error(), "version 2.11.9") || f.Fix == "" {
		t.Errorf("%#v, want the version refused", f)
	}
	p.version = (*nats.Conn).ConnectedServerVersion
	if err := p.check(t.Context(), nc); err != nil {
		t.Errorf("the version in go.mod: %v", err)
	}
}
