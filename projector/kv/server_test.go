package kv_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
)

var quiet = slog.New(slog.DiscardHandler)

// startServer starts one server that keeps data in a directory of the test.
func startServer(t testing.TB) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return server
}

// connect returns a connection that is closed at the end of the test.
func connect(t testing.TB, to interface {
	Connect(...nats.Option) (*nats.Conn, error)
}, opts ...nats.Option,
) *nats.Conn {
	t.Helper()
	opts = append([]nats.Option{nats.ReconnectWait(10 * time.Millisecond), nats.MaxReconnects(-1)}, opts...)
	conn, err := to.Connect(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// namespaceOf makes a namespace of a test's name.
func namespaceOf(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	return "t" + strings.Trim(name[max(0, len(name)-50):], "-")
}
