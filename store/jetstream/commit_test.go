package jetstream

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

func stream(id string) store.StreamID { return store.StreamID{Type: "account", ID: id} }

// commitOf returns a commit of n events that follows after.
func commitOf(id store.StreamID, after store.Head, n int) *store.Commit {
	c := &store.Commit{
		Stream:   id,
		ID:       uuid.New(),
		After:    after,
		Time:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "deposit"}},
	}
	for range n {
		// One byte that is a number in both codecs.
		c.Events = append(c.Events, store.Event{Type: "deposited", Schema: 1, Data: []byte("7")})
	}
	return c
}

// appendTo appends one commit of n events.
func appendTo(tb testing.TB, l store.Log, id store.StreamID, after store.Head, n int) store.Head {
	tb.Helper()
	head, err := l.Append(context.Background(), commitOf(id, after, n))
	if err != nil {
		tb.Fatal(err)
	}
	return head
}

// fillStream appends so many commits of one event, and returns the heads, the
// empty one first.
func fillStream(tb testing.TB, l store.Log, id store.StreamID, commits int) []store.Head {
	tb.Helper()
	heads := []store.Head{{}}
	for range commits {
		heads = append(heads, appendTo(tb, l, id, heads[len(heads)-1], 1))
	}
	return heads
}

// readAll reads a stream after a head.
func readAll(l store.Log, id store.StreamID, after store.Head) (commits []*store.Commit, err error) {
	for c, err := range l.Read(context.Background(), id, after) {
		if err != nil {
			return commits, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}
