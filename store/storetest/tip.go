package storetest

import (
	"testing"

	"github.com/annals-go/annals/store"
)

var tipCases = []testCase{
	{"empty log", "the tip of an empty log is before every event", tipEmpty},
	{"last event", "the tip is the position of the last event, not of the last commit's first", tipLast},
	{"of some types", "the tip of aggregate types is the last event of any of them", tipOfTypes},
}

func wantTip(t *testing.T, log store.Log, want store.Position, types ...string) {
	t.Helper()
	got, err := log.Tip(contextOf(t), types...)
	if err != nil || got != want {
		t.Fatalf("tip of %v: %d, %v, want %d", types, got, err, want)
	}
}

func tipEmpty(t *testing.T, s Store) {
	wantTip(t, s.Log, 0)
	wantTip(t, s.Log, 0, "account")
}

func tipLast(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	for _, n := range []int{1, 3, store.MaxEvents} {
		w.add(t, n)
		wantTip(t, s.Log, store.PositionOf(w.last().Sequence(), n-1))
	}
}

func tipOfTypes(t *testing.T, s Store) {
	a := newWriter(s.Log, account("1"))
	b := newWriter(s.Log, store.StreamID{Type: "account-book", ID: "1"})
	a.add(t, 2)
	b.add(t, 3)
	ofA, ofB := a.stored[0].Last(), b.stored[0].Last()
	wantTip(t, s.Log, ofB)
	wantTip(t, s.Log, ofA, "account")
	wantTip(t, s.Log, ofB, "account-book")
	wantTip(t, s.Log, ofB, "account", "account-book")
	wantTip(t, s.Log, ofA, "account", "none")
	wantTip(t, s.Log, 0, "none")
}
