package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// standing is an application at the end of its history.
type standing struct {
	Version  uint64
	Position store.Position
	Time     time.Time
	State    application.Application
}

func openLog(t testing.TB, url string) *jetstream.Log {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	log, err := jetstream.Open(t.Context(), jetstream.Config{Conn: conn, Namespace: app.Name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// foldLog reads the whole log in its own order and folds it with nothing but
// the domain's Evolve: no actor, no snapshot, no reading by stream.
func foldLog(t *testing.T, log *jetstream.Log) map[string]standing {
	t.Helper()
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	folded, heads := map[string]standing{}, map[store.StreamID]store.Head{}
	for at := store.Position(0); at < tip; {
		commits, err := feed.Next(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			if c.After != heads[c.Stream] || c.Stream.Type != application.Applications.Type {
				t.Fatalf("commit %d of %s follows %v, the log has %v", c.Sequence, c.Stream, c.After, heads[c.Stream])
			}
			folded[c.Stream.ID] = fold(t, log.Codec(), folded[c.Stream.ID], c)
			heads[c.Stream], at = c.Head(), c.Last()
		}
	}
	return folded
}

func fold(t *testing.T, codec store.Codec, s standing, c *store.Commit) standing {
	t.Helper()
	for i, stored := range c.Events {
		e, err := application.Applications.Events.Decode(codec, stored.Type, stored.Schema, stored.Data)
		if err != nil {
			t.Fatalf("event %d of commit %d: %v", i, c.Sequence, err)
		}
		s.State = s.State.Evolve(e)
		s.Version++
		s.Position, s.Time = store.PositionOf(c.Sequence, i), c.Time
	}
	return s
}

// differences returns the applications that are not the same in both, and
// shows the first few.
func differences(want, got map[string]standing) (ids []string, shown string) {
	const most = 5
	var text strings.Builder
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if cmp.Equal(want[id], got[id]) {
			continue
		}
		if ids = append(ids, id); len(ids) <= most {
			fmt.Fprintf(&text, "application %s:\n%s", id, cmp.Diff(want[id], got[id]))
		}
	}
	return ids, text.String()
}
