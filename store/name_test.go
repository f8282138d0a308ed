package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "application", "select-offer", "a1", "a-", "a--b", strings.Repeat("a", 64)} {
		if err := store.ValidateName("event", name); err != nil {
			t.Errorf("ValidateName(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "1a", "-a", "aB", "a.b", "a_b", "a b", "a*", "é", "a\x00", strings.Repeat("a", 65)} {
		var invalid *store.InvalidError
		if err := store.ValidateName("event", name); !errors.As(err, &invalid) || invalid.What != "event" {
			t.Errorf("ValidateName(%q): %v, want an InvalidError for an event", name, err)
		}
	}
}

func TestStreamID(t *testing.T) {
	t.Parallel()
	id, err := store.ParseStreamID("application/a/b c")
	if want := (store.StreamID{Type: "application", ID: "a/b c"}); err != nil || id != want || id.String() != "application/a/b c" {
		t.Fatalf("ParseStreamID = %+v, %v, want %+v", id, err, want)
	}
	for _, text := range []string{"", "application", "/", "application/", "/1", "App/1", "a/\x00", "a/" + strings.Repeat("x", 129)} {
		if id, err := store.ParseStreamID(text); err == nil {
			t.Errorf("ParseStreamID(%q) = %+v, want an error", text, id)
		}
	}
}

// The numbers are what a NATS server's mapping {{partition(128,1,2)}} gives for
// the subject of the two tokens. They must never change: streams would move.
func TestPartition(t *testing.T) {
	t.Parallel()
	tests := map[store.StreamID]int{
		{Type: "application", ID: "173688"}: 96,
		{Type: "application", ID: "1"}:      28,
		{Type: "application", ID: "é"}:      123,
		{Type: "account", ID: "a.b"}:        19,
		{Type: "offer", ID: "Order_7-b"}:    14,
	}
	for id, want := range tests {
		if got := id.Partition(128); got != want {
			t.Errorf("%s is in partition %d, want %d", id, got, want)
		}
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	var last store.Position
	for _, at := range []struct {
		sequence uint64
		index    int
	}{{1, 0}, {1, 1}, {1, 1023}, {2, 0}, {1<<54 - 1, 1023}} {
		p := store.PositionOf(at.sequence, at.index)
		if p <= last || p.Sequence() != at.sequence || p.Index() != at.index {
			t.Errorf("PositionOf(%d, %d) = %d after %d, is %d, %d", at.sequence, at.index, p, last, p.Sequence(), p.Index())
		}
		last = p
	}
	defer func() {
		if recover() == nil {
			t.Error("an index of 1024 was accepted")
		}
	}()
	store.PositionOf(1, store.MaxEvents)
}
