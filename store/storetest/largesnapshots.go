package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
)

const mebibyte = 1 << 20

// sizedSnapshot has a state of so many bytes, which the version determines.
func sizedSnapshot(id store.StreamID, version uint64, size int) *store.Snapshot {
	s := snapshotOf(id, version)
	word := fmt.Appendf(nil, "%d of %s;", version, id)
	s.State = bytes.Repeat(word, 1+size/len(word))[:size]
	return s
}

func snapshotAnySize(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	mustSave(t, kept, snapshotOf(account("other"), 7))
	sizes := []int{0, mebibyte, 0, 5 * mebibyte, 5*mebibyte - 1, mebibyte, 700 << 10, 0}
	for i, size := range sizes {
		want := sizedSnapshot(account("1"), uint64(i+1), size)
		mustSave(t, kept, want)
		wantSnapshot(t, kept, want)
	}
	mustSave(t, kept, sizedSnapshot(account("1"), 9, mebibyte))
	if err := kept.Delete(contextOf(t), account("1")); err != nil {
		t.Fatalf("delete a large snapshot: %v", err)
	}
	wantNoSnapshot(t, kept, account("1"))
	wantSnapshot(t, kept, snapshotOf(account("other"), 7))
}

func snapshotTorn(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	if s.TearSnapshot == nil {
		t.Skip("SKIPPED, NOT PASSED: this store keeps a snapshot in one piece")
	}
	for version := uint64(1); version < 6; version += 2 {
		mustSave(t, kept, sizedSnapshot(account("1"), version, 5*mebibyte))
		s.TearSnapshot(t, account("1"))
		_, err := kept.Load(contextOf(t), account("1"))
		wantError(t, "load of a torn snapshot", err, store.ErrDamaged)
		next := sizedSnapshot(account("1"), version+1, int(version-1)*mebibyte)
		mustSave(t, kept, next)
		wantSnapshot(t, kept, next)
	}
}

// snapshotTwoWriters has the versions of one writer odd, those of the other even.
func snapshotTwoWriters(t *testing.T, s Store) {
	kept := needSnapshots(t, s)
	again := s.SnapshotsAgain
	if again == nil {
		again = kept
	}
	const turns = 8
	id := account("1")
	made := func(version uint64) *store.Snapshot {
		return sizedSnapshot(id, version, int(version%3)*mebibyte)
	}
	mustSave(t, kept, made(1))
	var writers errgroup.Group
	for writer, into := range []store.Snapshots{kept, again} {
		writers.Go(func() error {
			for turn := range turns {
				if err := into.Save(contextOf(t), made(uint64(2*turn+writer+1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- writers.Wait() }()
	for over := false; !over; {
		select {
		case err := <-done:
			over = true
			if err != nil {
				t.Fatalf("save: %v", err)
			}
		default:
		}
		got, err := again.Load(contextOf(t), id)
		if errors.Is(err, store.ErrUnavailable) && !over {
			continue // it was replaced again and again
		}
		if err != nil {
			t.Fatalf("load: %v", err)
		}
		want := made(got.Head.Version)
		if !bytes.Equal(got.State, want.State) || got.Head != want.Head {
			t.Fatalf("version %d was loaded with %d bytes that were not saved as it", got.Head.Version, len(got.State))
		}
		if over && got.Head.Version < 2*turns-1 {
			t.Fatalf("at last it is at version %d: neither writer's last", got.Head.Version)
		}
	}
}
