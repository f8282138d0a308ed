package privacy_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

func snapshotOf(id store.StreamID, keys ...store.KeyRef) *store.Snapshot {
	return &store.Snapshot{
		Stream: id, Head: store.Head{Version: 3, Sequence: 5, Hash: store.HashOf([]byte("x"))}, Position: store.PositionOf(5, 0),
		Time: time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC), Epoch: 7, Schema: 2,
		State: []byte("state with ann@example.org"), Memory: []byte("memory with Bob Jones"), Keys: keys,
	}
}

func TestSnapshotDiesWithEachOfItsKeys(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []string{"ann", "bob"} {
		t.Run(forgotten, func(t *testing.T) {
			t.Parallel()
			m := store.NewMemory(store.MemoryConfig{})
			k, keys := newRing(t)
			kept := privacy.NewSnapshots(m, k)
			_, ann := sealFor(t, k, "ann")
			_, bob := sealFor(t, k, "bob")
			want := snapshotOf(application, bob, ann, bob)
			if err := errors.Join(kept.Save(t.Context(), want), kept.SavePast(t.Context(), 3, want)); err != nil {
				t.Fatal(err)
			}
			stored, err := m.Load(t.Context(), application)
			if err != nil || bytes.Contains(stored.State, []byte("example")) || len(stored.Memory) > 0 {
				t.Fatalf("stored is %q, %q, %v", stored.State, stored.Memory, err)
			}
			got, err := kept.Load(t.Context(), application)
			if err != nil || !bytes.Equal(got.State, want.State) || !bytes.Equal(got.Memory, want.Memory) || fmt.Sprint(got.Keys) != fmt.Sprint([]store.KeyRef{ann, bob}) {
				t.Fatalf("loaded %+v, %v", got, err)
			}
			mustForget(t, forgetter(t, keys, k), forgotten)
			_, err = kept.Load(t.Context(), application)
			wantError(t, "load", err, store.ErrNotFound)
			_, err = kept.LoadPast(t.Context(), application, 3)
			wantError(t, "load of the past", err, store.ErrNotFound)
			wantError(t, "save of an old state", kept.Save(t.Context(), want), store.ErrErased)
			// Seen again: what was saved under the first key stays dead.
			_, again := sealFor(t, k, forgotten)
			_, err = kept.Load(t.Context(), application)
			wantError(t, "load", err, store.ErrNotFound)
			if err := kept.Save(t.Context(), snapshotOf(application, again)); err != nil {
				t.Errorf("save anew: %v", err)
			}
			if _, err := kept.Load(t.Context(), application); err != nil {
				t.Errorf("load anew: %v", err)
			}
		})
	}
}

func TestMovedSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	k, _ := newRing(t)
	kept := privacy.NewSnapshots(m, k)
	_, ann := sealFor(t, k, "ann")
	_, bob := sealFor(t, k, "bob")
	if err := kept.Save(t.Context(), snapshotOf(application, ann, bob)); err != nil {
		t.Fatal(err)
	}
	for name, move := range map[string]func(*store.Snapshot){
		"stream":  func(s *store.Snapshot) { s.Stream.ID = "173689" },
		"version": func(s *store.Snapshot) { s.Head.Version++ },
		"hash":    func(s *store.Snapshot) { s.Head.Hash[0]++ },
		"place":   func(s *store.Snapshot) { s.Position = store.PositionOf(5, 1) },
		"time":    func(s *store.Snapshot) { s.Time = s.Time.Add(time.Second) },
		"epoch":   func(s *store.Snapshot) { s.Epoch++ },
		"schema":  func(s *store.Snapshot) { s.Schema++ },
		"key":     func(s *store.Snapshot) { s.State = bytes.Replace(s.State, []byte("bob"), []byte("ann"), 1) },
		"bit":     func(s *store.Snapshot) { s.State[len(s.State)-1] ^= 1 },
		"end":     func(s *store.Snapshot) { s.State = s.State[:len(s.State)-1] },
		"count":   func(s *store.Snapshot) { s.State[4] = 0xff },
		"nothing": func(s *store.Snapshot) { s.State = s.State[:4] },
	} {
		moved, err := m.Load(t.Context(), application)
		if err != nil {
			t.Fatal(err)
		}
		move(moved)
		if err := m.SavePast(t.Context(), 1, moved); err != nil {
			t.Fatal(err)
		}
		got, err := kept.LoadPast(t.Context(), moved.Stream, 1)
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("moved to another %s: %+v, %v", name, got, err)
		}
	}
}

func TestSnapshotLimits(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	keys, w := privacy.NewMemory(), wrapper(t)
	k := ringWith(t, privacy.KeyringConfig{Keys: keys, Wrapper: w, Capacity: 3})
	kept := privacy.NewSnapshots(m, k)
	var refs []store.KeyRef
	for i := range 20 { // more than the keyring holds
		_, ref := sealFor(t, k, fmt.Sprint("subject ", i))
		refs = append(refs, ref)
	}
	if err := kept.Save(t.Context(), snapshotOf(application, refs...)); err != nil {
		t.Fatal(err)
	}
	if got, err := kept.Load(t.Context(), application); err != nil || len(got.Keys) != 20 {
		t.Fatalf("load: %v", err)
	}
	if _, err := privacy.NewSnapshots(m, ringOf(t, keys, brokenWrapper{})).Load(t.Context(), application); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("load without the wrapping key: %v", err)
	}
	many := make([]store.KeyRef, 5000)
	for i := range many {
		many[i] = store.KeyRef{Subject: fmt.Sprint(i), ID: store.KeyID{1}}
	}
	wantError(t, "a snapshot of too many", kept.Save(t.Context(), snapshotOf(application, many...)), store.ErrTooLarge)
	forged := snapshotOf(application)
	forged.State = []byte("\xc1as\x01 looks sealed")
	wantError(t, "a state that looks sealed", kept.Save(t.Context(), forged), store.ErrInvalid)
	plain := snapshotOf(application)
	if err := kept.Save(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	if stored, err := m.Load(t.Context(), application); err != nil || !bytes.Equal(stored.State, plain.State) {
		t.Errorf("a snapshot without keys is stored as %q, %v", stored.State, err)
	}
}

// FuzzSnapshot loads sealed states from anywhere.
func FuzzSnapshot(f *testing.F) {
	m := store.NewMemory(store.MemoryConfig{})
	k, _ := newRing(f)
	kept := privacy.NewSnapshots(m, k)
	_, ann := sealFor(f, k, "ann")
	want := snapshotOf(application, ann)
	if err := kept.Save(f.Context(), want); err != nil {
		f.Fatal(err)
	}
	stored, err := m.Load(f.Context(), application)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored.State)
	f.Add(stored.State[:40])
	f.Add([]byte("\xc1as\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, state []byte) {
		forged := snapshotOf(application)
		forged.State = state
		m := store.NewMemory(store.MemoryConfig{})
		if err := m.Save(t.Context(), forged); err != nil {
			return // it cannot be stored
		}
		got, err := privacy.NewSnapshots(m, k).Load(t.Context(), application)
		if err == nil && len(got.Keys) > 0 && !bytes.Equal(got.State, want.State) {
			t.Errorf("a state that was never sealed: %q", got.State)
		}
	})
}
