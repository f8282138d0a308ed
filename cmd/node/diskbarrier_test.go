package node

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/store"
)

func mustConnectTo(t *testing.T, s *embedded.Server) *nats.Conn {
	t.Helper()
	conn, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// Whoever works on a server of another process waits for that server's disk, if it
// has to be waited for, and is told what is wrong with it.
func TestBarrierOfAnotherProcess(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Port: embedded.NoListener})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, owner := mustConnectTo(t, server), mustConnectTo(t, server)
	wait, err := barrierOf(t.Context(), conn)
	if err != nil || wait(t.Context()) != nil {
		t.Fatalf("where nobody offers it: %v", err)
	}
	syncs, broken := 0, error(nil)
	if err := offerBarrier(owner, func(context.Context) error { syncs++; return broken }); err != nil {
		t.Fatal(err)
	}
	if err := wait(t.Context()); err != nil || syncs != 1 {
		t.Errorf("offered: %d syncs, %v", syncs, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ended); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("its context ended: %v", err)
	}
	// What the server still hands to a connection that was closed is not answered for long.
	left := make(chan struct{})
	owner.SetClosedHandler(func(*nats.Conn) { close(left) })
	if err := owner.Drain(); err != nil {
		t.Fatal(err)
	}
	<-left
	if err := wait(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("offered, and not any more: %v", err)
	}
	broken = errors.New("no space left on device")
	if err := offerBarrier(conn, func(context.Context) error { return broken }); err != nil {
		t.Fatal(err)
	}
	if _, err := barrierOf(t.Context(), conn); !errors.Is(err, embedded.ErrNotDurable) {
		t.Errorf("a disk that failed: %v", err)
	}
}

// dev offers its barrier, and a server that needs none offers none.
func TestDevOffersItsBarrier(t *testing.T) {
	t.Parallel()
	for _, sync := range []embedded.Sync{embedded.SyncBarrier, embedded.SyncNone} {
		config := devConfig{dir: t.TempDir(), name: "one", nats: web.Address{Host: "127.0.0.1"}, sync: sync}
		n := newDevNode(newSession(App{Name: "bank"}, Streams{}), config)
		if err := n.openServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn := mustConnectTo(t, n.server)
		b := &diskBarrier{conn: conn}
		if err := b.wait(t.Context()); err != nil || b.offered.Load() != (n.server.Barrier() != nil) {
			t.Errorf("%s: offered %v, %v", sync, b.offered.Load(), err)
		}
		conn.Close()
		if err := n.closeServer(); err != nil {
			t.Error(err)
		}
	}
}
