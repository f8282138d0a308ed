package node_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

// backedUp makes a backup of a namespace with one event and so many log streams.
func backedUp(t *testing.T, logStreams int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	vault, err := segment.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := store.NewMemory(store.MemoryConfig{})
	c := &store.Commit{
		Stream: store.StreamID{Type: "account", ID: "ann"}, ID: uuid.New(), Time: time.Unix(1, 0), Commands: []store.Command{{ID: "c", Name: "open"}},
		Events: []store.Event{{Type: "opened", Schema: 1, Data: []byte{0x80}}},
	}
	if _, err := log.Append(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Create(t.Context(), vault, bank.Name, backup.Source{Log: log, LogStreams: logStreams}, backup.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A backup of a namespace with several log streams is restored to a directory, too.
func TestRestoreToData(t *testing.T) {
	t.Parallel()
	for _, logStreams := range []int{1, 2} {
		t.Run(fmt.Sprint(logStreams), func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			streams := node.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}
			data := filepath.Join(t.TempDir(), "data")
			if code := node.Run(t.Context(), bank, streams, "backup", "restore", backedUp(t, logStreams), "--data", data); code != 0 {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
}
