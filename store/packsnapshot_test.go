package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

func fullSnapshot() *store.Snapshot {
	return &store.Snapshot{
		Stream:   store.StreamID{Type: "application", ID: "173688/é"},
		Head:     store.Head{Version: 300, Sequence: 70_000, Hash: store.HashOf([]byte("before"))},
		Position: store.PositionOf(70_000, 7),
		Time:     time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC),
		Schema:   2,
		State:    bytes.Repeat([]byte("state "), 20),
		Memory:   bytes.Repeat([]byte("memory "), 40),
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	want := fullSnapshot()
	stored, err := store.EncodeSnapshot(want)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot.msgpack", stored, true)
	got, err := store.DecodeSnapshot(stored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

func TestDecodeSnapshotNoticesEveryBit(t *testing.T) {
	t.Parallel()
	for _, s := range fullSnapshots() {
		noticesEveryBit(t, mustEncodeSnapshot(t, s), func(stored []byte) error {
			_, err := store.DecodeSnapshot(stored)
			return err
		})
	}
}

func TestDecodeSnapshotOf(t *testing.T) {
	t.Parallel()
	s := fullSnapshot()
	stored, err := store.EncodeSnapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.DecodeSnapshotOf(s.Stream, stored); err != nil {
		t.Error(err)
	}
	if _, err := store.DecodeSnapshotOf(store.StreamID{Type: "application", ID: "2"}, stored); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("of another stream: %v, want damage", err)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	for _, s := range fullSnapshots() {
		stored := mustEncodeSnapshot(f, s)
		f.Add(store.Unsealed(store.MsgPack, stored), true)
		f.Add(stored, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = store.Sealed(store.MsgPack, data)
		}
		s, err := store.DecodeSnapshot(data)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatalf("%v is not damage", err)
			}
			return
		}
		again, err := store.EncodeSnapshot(s)
		if err != nil {
			t.Fatalf("%+v cannot be written again: %v", s, err)
		}
		back, err := store.DecodeSnapshot(again)
		if err != nil || !cmp.Equal(s, back) {
			t.Fatalf("%+v became %+v, %v", s, back, err)
		}
	})
}
