package storetest

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

var pastCases = []testCase{
	{"kept", "what was saved under a mark is loaded with every field, and replaced by what comes next", pastKept},
	{"listed", "the marks of a stream are listed in ascending order, of no other stream", pastListed},
	{"dropped", "what was dropped is not there; dropping what is not there is no error", pastDropped},
	{"apart", "a stream's snapshot and its past ones do not disturb each other; deleting removes both", pastApart},
	{"no time left", "without time the store is unavailable", pastNoTime},
}

func needPasts(t *testing.T, s Store) store.PastSnapshots {
	t.Helper()
	kept, ok := needSnapshots(t, s).(store.PastSnapshots)
	if !ok {
		t.Skip("SKIPPED, NOT PASSED: this store keeps no past snapshots")
	}
	return kept
}

func mustSavePast(t *testing.T, kept store.PastSnapshots, mark uint64, s *store.Snapshot) {
	t.Helper()
	if err := kept.SavePast(contextOf(t), mark, s); err != nil {
		t.Fatalf("save under mark %d: %v", mark, err)
	}
}

func wantPast(t *testing.T, kept store.PastSnapshots, mark uint64, want *store.Snapshot) {
	t.Helper()
	got, err := kept.LoadPast(contextOf(t), want.Stream, mark)
	if err != nil {
		t.Fatalf("load mark %d: %v", mark, err)
	}
	if reflect.DeepEqual(want, got) { // cmp is slow where much is equal
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("mark %d (-want +got):\n%s", mark, shorten(diff))
	}
}

func wantMarks(t *testing.T, kept store.PastSnapshots, id store.StreamID, want ...uint64) {
	t.Helper()
	got, err := kept.Pasts(contextOf(t), id)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("marks of %s: %v, %v, want %v", id, got, err, want)
	}
}

func pastKept(t *testing.T, s Store) {
	kept := needPasts(t, s)
	for version := uint64(1); version < 4; version++ {
		mustSavePast(t, kept, 7, snapshotOf(account("1"), version))
		wantPast(t, kept, 7, snapshotOf(account("1"), version))
	}
	large := sizedSnapshot(account("1"), 4, 600<<10)
	mustSavePast(t, kept, 8, large)
	wantPast(t, kept, 8, large)
	wantError(t, "save too much", kept.SavePast(contextOf(t), 9, sizedSnapshot(account("1"), 5, store.MaxSnapshotBytes)), store.ErrTooLarge)
	_, err := kept.LoadPast(contextOf(t), account("1"), 9)
	wantError(t, "load where nothing is", err, store.ErrNotFound)
}

func pastListed(t *testing.T, s Store) {
	kept := needPasts(t, s)
	wantMarks(t, kept, account("1"))
	for _, mark := range []uint64{11, 2, 1<<64 - 1, 9} {
		mustSavePast(t, kept, mark, snapshotOf(account("1"), mark>>40+1))
	}
	mustSavePast(t, kept, 3, snapshotOf(account("other"), 1))
	wantMarks(t, kept, account("1"), 2, 9, 11, 1<<64-1)
}

func pastDropped(t *testing.T, s Store) {
	kept := needPasts(t, s)
	mustSavePast(t, kept, 1, snapshotOf(account("1"), 1))
	mustSavePast(t, kept, 10, snapshotOf(account("1"), 2))
	for range 2 {
		if err := kept.DropPast(contextOf(t), account("1"), 1); err != nil {
			t.Fatalf("drop: %v", err)
		}
		wantMarks(t, kept, account("1"), 10)
	}
	wantPast(t, kept, 10, snapshotOf(account("1"), 2))
}

func pastApart(t *testing.T, s Store) {
	kept := needPasts(t, s)
	mustSavePast(t, kept, 1, snapshotOf(account("1"), 1))
	mustSavePast(t, kept, 1, snapshotOf(account("2"), 1))
	wantNoSnapshot(t, kept, account("1"))
	for _, size := range []int{2 * mebibyte, 10, 3 * mebibyte} {
		mustSave(t, kept, sizedSnapshot(account("1"), 2, size))
		wantPast(t, kept, 1, snapshotOf(account("1"), 1))
	}
	if err := kept.Delete(contextOf(t), account("1")); err != nil {
		t.Fatalf("delete: %v", err)
	}
	wantMarks(t, kept, account("1"))
	wantMarks(t, kept, account("2"), 1)
}

func pastNoTime(t *testing.T, s Store) {
	kept := needPasts(t, s)
	mustSavePast(t, kept, 1, snapshotOf(account("1"), 1))
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	wantError(t, "save", kept.SavePast(ctx, 1, snapshotOf(account("1"), 2)), store.ErrUnavailable)
	_, err := kept.LoadPast(ctx, account("1"), 1)
	wantError(t, "load", err, store.ErrUnavailable)
	_, err = kept.Pasts(ctx, account("1"))
	wantError(t, "list", err, store.ErrUnavailable)
	wantError(t, "drop", kept.DropPast(ctx, account("1"), 1), store.ErrUnavailable)
	wantPast(t, kept, 1, snapshotOf(account("1"), 1))
}
