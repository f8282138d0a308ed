package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/projectortest"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
)

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	projectortest.Run(t, projectortest.Harness{
		Open: func(t *testing.T) projector.Store {
			dir := t.TempDir()
			return &storeIn{openStore(t, dir), dir}
		},
		Tables: true,
		Files:  func(_ *testing.T, s projector.Store) string { return s.(*storeIn).dir },
	})
}

// storeIn knows where a store keeps its files.
type storeIn struct {
	*sqlite.Store
	dir string
}

// openStore returns a store that is closed at the end of the test.
func openStore(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var model = projector.Model{View: "cases", Version: 1}

func openView(t testing.TB, s projector.Store, layout projector.Layout) projector.Querier {
	t.Helper()
	if layout.Model == (projector.Model{}) {
		layout.Model = model
	}
	v, err := s.Open(within(t), layout)
	if err != nil {
		t.Fatal(err)
	}
	return v.(projector.Querier)
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func load(t testing.TB, v projector.View) projector.Checkpoint {
	t.Helper()
	c, err := v.Load(within(t), "0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func doc(key string, position store.Position, n int) projector.Document {
	return projector.Document{Key: key, Position: position, Document: json.RawMessage(fmt.Sprintf(`{"n":%d,"who":{"name":"n-%d"}}`, n, n))}
}

func commit(t testing.TB, v projector.View, c projector.Checkpoint, docs ...projector.Document) projector.Checkpoint {
	t.Helper()
	c.Version, c.Types, c.Position = 1, []string{"counter"}, c.Position+1
	c, err := v.Commit(within(t), projector.Write{Checkpoint: c, Documents: docs})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
