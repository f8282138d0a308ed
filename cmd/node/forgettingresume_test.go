package node_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

// viewless has no view that reads everybody when it starts.
var viewless = node.App{Name: people.Name, Aggregates: people.Aggregates}

// A record from before a forgetting, which somebody put back while no node was looking, is mended when one
// starts, though nobody reads it; and who asks before is told that the person was forgotten.
func TestNodeMendsWhatWasPutBack(t *testing.T) { //nolint:tparallel // the second follows the first
	t.Parallel()
	data := t.TempDir()
	var old privacy.Record
	t.Run("put back", func(t *testing.T) {
		at, keys := startClub(t, data)
		club(t, at, "command", "send", "member", "1", "join", `{"number":"m-1","name":"MARKERann"}`)
		old = keyRecordOf(t, keys)
		club(t, at, "subject", "forget", "m-1", "--why", "asked for it", "--yes")
		back := old
		back.Revision = keyRecordOf(t, keys).Revision
		if _, err := keys.Store(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		if said := club(t, at, "subject", "show", "m-1"); !strings.Contains(said, old.Key.String()) || !strings.Contains(said, "no key") {
			t.Errorf("subject show: %s", said)
		}
		back.Revision = keyRecordOf(t, keys).Revision
		if _, err := keys.Store(t.Context(), back); err != nil { // again, and nobody looks
			t.Fatal(err)
		}
	})
	t.Run("started again", func(t *testing.T) {
		_, keys := startClub(t, data)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for end := time.After(30 * time.Second); ; {
			if r := keyRecordOf(t, keys); r.Key == (store.KeyID{}) && r.WasErased(old.Key) {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("it is not mended: %+v", keyRecordOf(t, keys))
			}
		}
	})
}

// startClub runs the people, and returns a way to their keys.
func startClub(t *testing.T, data string) (devAddresses, *jetstream.Keys) {
	t.Helper()
	at := startDev(t, viewless, "--data", data)
	conn, err := nats.Connect(at.NATS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	keys, err := jetstream.OpenKeys(t.Context(), jetstream.KeysConfig{Conn: conn, Namespace: viewless.Name})
	if err != nil {
		t.Fatal(err)
	}
	return at, keys
}

func keyRecordOf(t *testing.T, keys privacy.Keys) privacy.Record {
	t.Helper()
	r, err := keys.Load(t.Context(), "m-1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func club(t *testing.T, at devAddresses, args ...string) string {
	t.Helper()
	var out strings.Builder
	if code := node.Run(t.Context(), viewless, node.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}, append([]string{"-s", at.NATS}, args...)...); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, &out)
	}
	return out.String()
}
