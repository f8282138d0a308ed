package kv_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

// Who lists large documents, however often at once, does not cost the node its
// connection, and gets all of them.
func TestListsDoNotCostTheConnection(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server)
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app"})
	const count, size, lists = 300, 100 << 10, 32
	large := []byte(`"` + strings.Repeat("x", size) + `"`)
	c := projector.Checkpoint{Worker: "0"}
	for first := 0; first < count; first += 50 {
		c.Position++
		var docs []projector.Document
		for i := range 50 {
			docs = append(docs, projector.Document{Key: fmt.Sprint("k", first+i), Document: large, Position: c.Position})
		}
		var err error
		if c, err = v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: docs}); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	for range lists {
		wait.Go(func() {
			if _, _, err := v.List(t.Context(), "", count, c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := conn.Stats().Reconnects; n > 0 {
		t.Errorf("the connection was lost %d times", n)
	}
	if keys := listAll(t, v, count, c); len(keys) != count {
		t.Errorf("%d documents were listed, want %d", len(keys), count)
	}
}
