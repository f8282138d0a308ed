package jetstream

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/annals-go/annals/store"
)

// TestFlippedBit changes one byte of the file in which the server keeps the
// log. The server then says that it has no such message; the log must not
// take that for an answer.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		fromEnd int // of the file: in the last commit, or in the one before
		check   func(t *testing.T, l *Log)
	}{
		"in the last commit": {20, func(t *testing.T, l *Log) {
			if tip, err := l.Tip(t.Context()); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("tip: %d, %v", tip, err)
			}
			if got, err := readAll(l, stream("2"), store.Head{}); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("read of the damaged stream: %d commits, %v", len(got), err)
			}
			if got, err := readAll(l, stream("1"), store.Head{}); err != nil || len(got) != 1 {
				t.Errorf("read of the other: %d commits, %v", len(got), err)
			}
			if got, err := readAll(l, stream("3"), store.Head{}); err != nil || len(got) != 0 {
				t.Errorf("read of one that never was: %d commits, %v", len(got), err)
			}
		}},
		"in the first commit": {-60, func(t *testing.T, l *Log) {
			commits, err := mustFollow(t, l, store.Follow{}).Next(t.Context(), 10)
			if !errors.Is(err, store.ErrDamaged) {
				t.Errorf("follow: %d commits, %v", len(commits), err)
			}
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, stop := openIn(t, dir, Config{Namespace: "flip"})
			for _, id := range []string{"1", "2"} {
				appendTo(t, l, stream(id), store.Head{}, 1)
			}
			stop()
			flip(t, filepath.Join(dir, "jetstream", "$G", "streams", l.names.order.name, "msgs", "1.blk"), c.fromEnd)
			l, stop = openIn(t, dir, Config{Namespace: "flip"})
			defer stop()
			c.check(t, l)
		})
	}
}

// openIn opens a log on a server of its own that keeps its files in dir.
func openIn(t *testing.T, dir string, cfg Config) (l *Log, stop func()) {
	t.Helper()
	servers, err := startSingle(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Conn, cfg.Logger = connect(t, servers[0]), slog.New(slog.DiscardHandler)
	l, err = Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, func() {
		_ = l.Close()
		servers[0].Shutdown()
		servers[0].WaitForShutdown()
	}
}

// flip changes the byte so far before the end of a file, or, if negative, so
// far behind its beginning.
func flip(t *testing.T, file string, fromEnd int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := len(data) - fromEnd
	if fromEnd < 0 {
		at = -fromEnd
	}
	data[at] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
