package postgres_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	server "github.com/annals-go/annals/test/postgres"
	"github.com/annals-go/annals/test/ram"
)

func TestMain(m *testing.M) {
	// Most tests wait for the server, not for a processor.
	ram.Use()
	_ = flag.Set("test.parallel", "6") // the command line may say something else
	goleak.VerifyTestMain(server.Tests(m))
}

var quiet = slog.New(slog.DiscardHandler)

var namespaces atomic.Int64

// namespace makes a namespace that nothing was ever kept in.
func namespace() string { return fmt.Sprintf("test%d", namespaces.Add(1)) }

// open returns a store on the server that is closed at the end of the test.
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	return openWith(t, postgres.Config{URL: url, Namespace: namespace()})
}

func openWith(t testing.TB, cfg postgres.Config) *postgres.Store {
	t.Helper()
	s := postgres.New(cfg)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect returns a connection of the test's own.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func mustExec(t testing.TB, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

var totals = projector.Model{View: "totals", Version: 2}

func viewOf(t testing.TB, s projector.Store, layout projector.Layout) projector.Querier {
	t.Helper()
	v, err := s.Open(t.Context(), layout)
	if err != nil {
		t.Fatal(err)
	}
	return v.(projector.Querier)
}

func write(t testing.TB, v projector.View, c projector.Checkpoint, docs ...projector.Document) projector.Checkpoint {
	t.Helper()
	c.Position++
	c, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: docs})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func doc(key, document string) projector.Document {
	return projector.Document{Key: key, Position: 1, Document: []byte(document)}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}
