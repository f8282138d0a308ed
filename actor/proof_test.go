package actor_test

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestProve(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.fill(t, "a", 20)
	b.fill(t, "none", 2) // passivated with too few events to be worth a snapshot
	b.stop()
	snap, ok := b.snapshot(t, "a")
	if !ok || snap.Head.Version != 20 {
		t.Fatalf("no snapshot on passivation: %+v", snap)
	}
	system := newBenchOn(t, b.memory, nil).system
	for limit, cut := range map[uint64]uint64{0: 0, 7: 7, 20: 20, 100: 20} {
		got, err := system.Prove(t.Context(), stream("a"), limit)
		if err != nil || got.Snapshot != snap.Head || got.Cut.Version != cut {
			t.Errorf("up to %d: %+v, %v, want the cut at %d", limit, got, err, cut)
		}
	}
	if _, err := system.Prove(t.Context(), stream("none"), 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without a snapshot: %v", err)
	}
	for name, damage := range map[string]func(*store.Snapshot){
		"another state":        func(s *store.Snapshot) { s.State = stateOf(t, account{Cents: 99}) },
		"hash of another past": func(s *store.Snapshot) { s.Head.Hash[0] ^= 1 },
		"version too low":      func(s *store.Snapshot) { s.Head.Version-- },
	} {
		harmed := *snap
		damage(&harmed)
		if err := b.memory.Save(t.Context(), &harmed); err != nil {
			t.Fatal(err)
		}
		if got, err := system.Prove(t.Context(), stream("a"), 20); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %+v, %v, want damage", name, got, err)
		}
	}
	if _, err := system.Prove(t.Context(), store.StreamID{Type: "other", ID: "1"}, 1); !errors.Is(err, store.ErrUnknownType) {
		t.Errorf("an aggregate that is not known: %v", err)
	}
}

func stateOf(t *testing.T, a account) []byte {
	t.Helper()
	data, err := store.MsgPack.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
