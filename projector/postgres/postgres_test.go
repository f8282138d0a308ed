package postgres_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/projector/projectortest"
	server "github.com/annals-go/annals/test/postgres"
)

// lossy dials connections that lose what they are told to lose, and break.
type lossy struct {
	mu   sync.Mutex
	lose part
}

// part is what the next commit on a connection loses.
type part int

const (
	nothing part = iota
	request
	answer
)

func (l *lossy) set(p part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = p
}

// take reports whether p is to be lost now, and that it is lost then.
func (l *lossy) take(p part) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose != p {
		return false
	}
	l.lose = nothing
	return true
}

func (l *lossy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, lossy: l}, nil
}

type lossyConn struct {
	net.Conn
	lossy *lossy
}

// A commit ends with the command, whose answer begins with its name; that of
// a fenced writer ends with an update of nothing.
var (
	commitMark = []byte("commit\x00")
	ackMark    = []byte("COMMIT\x00")
	refusal    = []byte("UPDATE 0\x00")
)

func (c *lossyConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, commitMark) && c.lossy.take(request) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if (bytes.Contains(b[:n], ackMark) || bytes.Contains(b[:n], refusal)) && c.lossy.take(answer) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// flakyStore is a store whose connections can be harmed.
type flakyStore struct {
	*postgres.Store
	lossy     *lossy
	namespace string
	reader    *pgx.Conn // reads files
}

func openFlaky(url string) func(t *testing.T) projector.Store {
	return func(t *testing.T) projector.Store {
		s := &flakyStore{lossy: &lossy{}, namespace: namespace(), reader: connect(t, url)}
		cfg, err := pgxpool.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ConnConfig.DialFunc = s.lossy.dial
		pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			pool.Close()
			if !s.lossy.take(nothing) {
				t.Error("what was to be lost never came")
			}
		})
		s.Store = openWith(t, postgres.Config{Pool: pool, Namespace: s.namespace})
		return s
	}
}

func harm(p part) func(*testing.T, projector.Store) {
	return func(_ *testing.T, s projector.Store) { s.(*flakyStore).lossy.set(p) }
}

func TestConforms(t *testing.T) {
	t.Parallel()
	projectortest.Run(t, projectortest.Harness{
		Open:        openFlaky(server.Shared(t).URL()),
		Tables:      true,
		LoseAnswer:  harm(answer),
		LoseRequest: harm(request),
		Files:       func(t *testing.T, s projector.Store) string { return s.(*flakyStore).files(t) },
	})
}

// files returns a folder with a copy of what the server has in the files of the store's tables.
func (s *flakyStore) files(t *testing.T) string {
	t.Helper()
	for {
		mustExec(t, s.reader, "CHECKPOINT")
		if dir, whole := s.copied(t); whole {
			return dir
		}
	}
}

// copied is not whole if a table was written anew, to another file, meanwhile.
func (s *flakyStore) copied(t *testing.T) (dir string, whole bool) {
	t.Helper()
	dir, whole = t.TempDir(), true
	rows, err := s.reader.Query(t.Context(), `SELECT c.oid::text, pg_read_binary_file(pg_relation_filepath(c.oid), 0, 1 << 29, true)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE starts_with(n.nspname, $1) AND c.relkind = 'r'`, s.namespace+"_")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var file []byte
		if err = rows.Scan(&table, &file); err == nil {
			err = os.WriteFile(filepath.Join(dir, table), file, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		whole = whole && file != nil
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return dir, whole
}
