package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// simpleCommit has one event of one command.
func simpleCommit(id store.StreamID, after store.Head) *store.Commit {
	return &store.Commit{
		Stream:   id,
		ID:       uuid.New(),
		After:    after,
		Time:     time.Now(),
		Commands: []store.Command{{ID: "c", Name: "open"}},
		Events:   []store.Event{{Type: "opened", Schema: 1, Data: []byte("\x80")}},
	}
}

func TestMemoryInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory(store.MemoryConfig{})
		feed, err := m.Follow(t.Context(), store.Follow{Name: "view"})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan time.Time)
		go func() {
			if _, err := feed.Next(t.Context(), 1); err != nil {
				t.Error(err)
			}
			got <- time.Now()
		}()
		began := time.Now()
		time.Sleep(time.Hour) // the feed waits without keeping the bubble awake
		if _, err := m.Append(t.Context(), simpleCommit(store.StreamID{Type: "account", ID: "1"}, store.Head{})); err != nil {
			t.Fatal(err)
		}
		if waited := (<-got).Sub(began); waited != time.Hour {
			t.Errorf("the feed waited for %v, want an hour", waited)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := feed.Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("next at the end: %v, want the deadline", err)
		}
	})
}

// Damage in what a feed would deliver stops the feed for good.
func TestMemoryFeedStopsAtDamage(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	id := store.StreamID{Type: "account", ID: "1"}
	var head store.Head
	for range 3 {
		var err error
		if head, err = m.Append(t.Context(), simpleCommit(id, head)); err != nil {
			t.Fatal(err)
		}
	}
	m.Flip(2)
	feed, err := m.Follow(t.Context(), store.Follow{After: store.PositionOf(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := feed.Next(t.Context(), 10)
		var damage *store.DamageError
		if !errors.As(err, &damage) || damage.Stream != id || damage.Version != 2 || damage.Sequence != 2 {
			t.Fatalf("next: %v, want damage of %s at version 2", err, id)
		}
	}
	if _, err := feed.Next(t.Context(), 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("next of 0 commits: %v, want it invalid", err)
	}
}

// A commit that claims another history than the log has at its very end can
// never be stored: it would break the chain.
func TestMemoryRefusesAnotherHistory(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	id := store.StreamID{Type: "account", ID: "1"}
	head, err := m.Append(t.Context(), simpleCommit(id, store.Head{}))
	if err != nil {
		t.Fatal(err)
	}
	wrong := head
	wrong.Hash[0]++
	if _, err := m.Append(t.Context(), simpleCommit(id, wrong)); !errors.Is(err, store.ErrRefused) || !errors.Is(err, store.ErrDamaged) {
		t.Errorf("append after a wrong hash: %v, want it refused as damage", err)
	}
	if _, err := m.Append(t.Context(), simpleCommit(id, head)); err != nil {
		t.Errorf("append after the right one: %v", err)
	}
}

func TestMemoryDefaults(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	if m.Partitions() != 128 || m.Codec() != store.MsgPack {
		t.Errorf("%d partitions and codec %s, want 128 and msgpack", m.Partitions(), m.Codec().Name())
	}
	m = store.NewMemory(store.MemoryConfig{Codec: store.JSON, Partitions: 4})
	if m.Partitions() != 4 || m.Codec() != store.JSON {
		t.Errorf("%d partitions and codec %s, want 4 and json", m.Partitions(), m.Codec().Name())
	}
}
