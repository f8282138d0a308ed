package jetstream

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

// emptyShelf is an archive that says that it holds nothing.
type emptyShelf struct{ storetest.Shelf }

func (*emptyShelf) Empty() bool { return true }

// A truncated log that is opened with none of what was taken out of it says so at
// once, and does not call it damage when it is read.
func TestOpenedWithAnotherArchive(t *testing.T) {
	t.Parallel()
	shelf := &storetest.Shelf{}
	l := open(t, &single, Config{Archive: shelf})
	all := spreadOut(t, l, 1, 3)
	opened := func(archive store.Archive) (*Log, string) {
		t.Helper()
		var said bytes.Buffer
		again, err := Open(t.Context(), Config{Conn: l.cfg.Conn, Namespace: l.cfg.Namespace, Replicas: l.cfg.Replicas, Archive: archive, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = again.Close() })
		return again, said.String()
	}
	if _, said := opened(&emptyShelf{}); said != "" {
		t.Errorf("before anything was truncated it is said: %s", said)
	}
	shelf.Put(all[:2]...)
	if err := l.Truncate(t.Context(), stream("0"), all[1].Head()); err != nil {
		t.Fatal(err)
	}
	again, said := opened(&emptyShelf{})
	if !strings.Contains(said, "the log was truncated to an archive, and this one holds nothing of it") {
		t.Errorf("with an archive that holds nothing it is said: %q", said)
	}
	if _, err := readAll(again, stream("0"), store.Head{}); !errors.Is(err, store.ErrArchived) || errors.Is(err, store.ErrDamaged) {
		t.Errorf("read with an archive that holds nothing: %v", err)
	}
	if _, said := opened(shelf); said != "" {
		t.Errorf("with its archive it is said: %s", said)
	}
}
