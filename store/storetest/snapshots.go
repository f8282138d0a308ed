package storetest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

var snapshotCases = []testCase{
	{"saved and loaded", "a snapshot is loaded with every field as it was saved", snapshotEveryField},
	{"epoch", "the epoch of a snapshot comes back, and none as none", snapshotEpoch},
	{"replaced", "the last snapshot saved is the one loaded", snapshotReplaced},
	{"not there", "a stream without a snapshot is not found, which is no damage", snapshotNotThere},
	{"deleted", "a deleted snapshot is not found; deleting what is not there is no error; it may be saved again", snapshotDeleted},
	{"damaged", "bytes that are not what was saved are damage, never a snapshot", snapshotDamaged},
	{"of another stream", "the snapshot of another stream in a stream's place is damage", snapshotOfOther},
	{"too large", "a snapshot over the limit is refused as too large, the one before stays, and the store stays usable", snapshotTooLarge},
	{"any size", "a state of no byte, of 1 MiB and of 5 MiB comes back as it was saved, whichever was there before", snapshotAnySize},
	{"torn", "a large snapshot of which something is missing is damage, and the next one takes its place", snapshotTorn},
	{"two writers", "who loads while two writers replace a snapshot gets one that was saved, whole", snapshotTwoWriters},
	{"invalid", "a snapshot that rests on nothing is refused", snapshotInvalid},
	{"stays the caller's", "what the caller does to a snapshot reaches neither the store nor other callers", snapshotNotKept},
	{"old snapshot and tail", "folding what follows an old snapshot onto it gives the state of a full replay", snapshotAndTail},
	{"no time left", "without time the store is unavailable", snapshotNoTime},
}

func needSnapshots(t *testing.T, s Store) store.Snapshots {
	t.Helper()
	if s.Snapshots == nil {
		t.Skip("SKIPPED, NOT PASSED: this store keeps no snapshots")
	}
	return s.Snapshots
}

func snapshotOf(id store.StreamID, version uint64) *store.Snapshot {
	return &store.Snapshot{
		Stream:   id,
		Head:     store.Head{Version: version, Sequence: version + 10, Hash: store.HashOf(fmt.Append(nil, version))},
		Position: store.PositionOf(version+10, 2),
		Time:     time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC),
		Schema:   2,
		State:    fmt.Appendf(nil, "state of %s at %d", id, version),
		Memory:   fmt.Appendf(nil, "memory of %s at %d", id, version),
	}
}

func wantSnapshot(t *testing.T, kept store.Snapshots, want *store.Snapshot) {
	t.Helper()
	got, err := kept.Load(contextOf(t), want.Stream)
	if err != nil {
		t.Fatalf("load the snapshot of %s: %v", want.Stream, err)
	}
	if reflect.DeepEqual(want, got) {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the snapshot of %s is not what was saved (-want +got):\n%s", want.Stream, shorten(diff))
	}
}

func wantNoSnapshot(t *testing.T, kept store.Snapshots, id store.StreamID) {
	t.Helper()
	_, err := kept.Load(contextOf(t), id)
	wantError(t, "load where there is no snapshot", err, store.ErrNotFound)
}

func mustSave(t *testing.T, kept store.Snapshots, s *store.Snapshot) {
	t.Helper()
	if err := kept.Save(contextOf(t), s); err != nil {
		t.Fatalf("save the snapshot of %s: %v", s.Stream, err)
	}
}

func snapshotEveryField(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	want := snapshotOf(account("1"), 1)
	mustSave(t, kept, want)
	wantSnapshot(t, kept, want)
}

func snapshotEpoch(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	for _, epoch := range []uint64{1, 1_767_225_600_123, 1<<64 - 1, 0} {
		want := snapshotOf(account("1"), 1)
		want.Epoch = epoch
		mustSave(t, kept, want)
		wantSnapshot(t, kept, want)
	}
}

func snapshotReplaced(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	mustSave(t, kept, snapshotOf(account("other"), 7))
	for version := uint64(1); version < 6; version++ {
		want := snapshotOf(account("1"), version)
		mustSave(t, kept, want)
		wantSnapshot(t, kept, want)
	}
	wantSnapshot(t, kept, snapshotOf(account("other"), 7))
}

func snapshotNotThere(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	mustSave(t, kept, snapshotOf(account("other"), 7))
	wantNoSnapshot(t, kept, account("1"))
	wantNoSnapshot(t, kept, store.StreamID{Type: "offer", ID: "other"})
}

func snapshotDeleted(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	want := snapshotOf(account("1"), 1)
	mustSave(t, kept, want)
	for range 2 {
		if err := kept.Delete(contextOf(t), want.Stream); err != nil {
			t.Fatalf("delete: %v", err)
		}
		wantNoSnapshot(t, kept, want.Stream)
	}
	if err := kept.Delete(contextOf(t), account("never")); err != nil {
		t.Fatalf("delete what was never saved: %v", err)
	}
	mustSave(t, kept, want)
	wantSnapshot(t, kept, want)
}

func snapshotDamaged(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	if s.ForgeSnapshot == nil {
		t.Skip("SKIPPED, NOT PASSED: no snapshot can be forged in this store")
	}
	good, err := store.EncodeSnapshot(snapshotOf(account("1"), 1))
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 4
	for name, data := range map[string][]byte{
		"no bytes":     {},
		"foreign":      []byte("no snapshot"),
		"bomb":         []byte("\xdd\xff\xff\xff\xff"),
		"cut":          good[:len(good)-1],
		"longer":       append(bytes.Clone(good), 0),
		"flipped bit":  flipped,
		"only a state": []byte("\x81\xa5state\x01"),
	} {
		s.ForgeSnapshot(t, account("1"), data)
		_, err := kept.Load(contextOf(t), account("1"))
		wantError(t, "load of "+name, err, store.ErrDamaged)
	}
	mustSave(t, kept, snapshotOf(account("1"), 2))
	wantSnapshot(t, kept, snapshotOf(account("1"), 2))
}

func snapshotOfOther(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	if s.ForgeSnapshot == nil {
		t.Skip("SKIPPED, NOT PASSED: no snapshot can be forged in this store")
	}
	data, err := store.EncodeSnapshot(snapshotOf(account("2"), 1))
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	s.ForgeSnapshot(t, account("1"), data)
	_, err = kept.Load(contextOf(t), account("1"))
	wantError(t, "load", err, store.ErrDamaged)
}

func snapshotTooLarge(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	before := snapshotOf(account("1"), 1)
	mustSave(t, kept, before)
	for _, size := range []int{store.MaxSnapshotBytes, 4 * store.MaxSnapshotBytes} {
		large := snapshotOf(account("1"), 2)
		large.State = make([]byte, size)
		wantError(t, "save", kept.Save(contextOf(t), large), store.ErrTooLarge)
		wantSnapshot(t, kept, before)
	}
	mustSave(t, kept, sizedSnapshot(account("1"), 3, 1<<20))
	wantSnapshot(t, kept, sizedSnapshot(account("1"), 3, 1<<20))
}

func snapshotInvalid(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	for name, spoil := range map[string]func(*store.Snapshot){
		"bad id":     func(s *store.Snapshot) { s.Stream.ID = "a\nb" },
		"no events":  func(s *store.Snapshot) { s.Head = store.Head{} },
		"no schema":  func(s *store.Snapshot) { s.Schema = 0 },
		"elsewhere":  func(s *store.Snapshot) { s.Position = store.PositionOf(3, 0) },
		"no version": func(s *store.Snapshot) { s.Head.Version = 0 },
	} {
		bad := snapshotOf(account("1"), 1)
		spoil(bad)
		wantError(t, name, kept.Save(contextOf(t), bad), store.ErrInvalid)
	}
	wantNoSnapshot(t, kept, account("1"))
}

func snapshotNotKept(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	saved := snapshotOf(account("1"), 1)
	mustSave(t, kept, saved)
	clear(saved.State)
	want := snapshotOf(account("1"), 1)
	wantSnapshot(t, kept, want)
	loaded, err := kept.Load(contextOf(t), account("1"))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	clear(loaded.State)
	clear(loaded.Memory)
	wantSnapshot(t, kept, want)
}

// snapshotAndTail folds a stream into the list of its events' positions.
func snapshotAndTail(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	w := newWriter(s.Log, account("1"))
	fold := func(state []byte, commits []*store.Commit) []byte {
		for _, c := range commits {
			for e := range c.Recorded() {
				state = fmt.Appendf(state, "%d:%s ", e.Version, e.ID)
			}
		}
		return state
	}
	for range 5 {
		w.add(t, 2)
		made := snapshotOf(w.id, 1)
		made.Head, made.Position = w.head, w.stored[len(w.stored)-1].Last()
		made.State = fold(nil, mustRead(t, s.Log, w.id, store.Head{}))
		mustSave(t, kept, made)
		w.add(t, 1, 3)

		old, err := kept.Load(contextOf(t), w.id)
		if err != nil {
			t.Fatalf("load: %v", err)
		}
		got := fold(old.State, mustRead(t, s.Log, w.id, old.Head))
		want := fold(nil, mustRead(t, s.Log, w.id, store.Head{}))
		if !bytes.Equal(got, want) {
			t.Fatalf("snapshot and tail give\n%s\na full replay gives\n%s", got, want)
		}
	}
}

func snapshotNoTime(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	mustSave(t, kept, snapshotOf(account("1"), 1))
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	wantError(t, "save", kept.Save(ctx, snapshotOf(account("1"), 2)), store.ErrUnavailable)
	_, err := kept.Load(ctx, account("1"))
	wantError(t, "load", err, store.ErrUnavailable)
	wantError(t, "delete", kept.Delete(ctx, account("1")), store.ErrUnavailable)
	wantSnapshot(t, kept, snapshotOf(account("1"), 1))
}
