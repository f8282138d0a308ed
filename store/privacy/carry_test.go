package privacy_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Whoever was forgotten in one key store is in the other, and a key that may seal what was forgotten falls.
func TestCarryErasures(t *testing.T) {
	t.Parallel()
	from, to := privacy.NewMemory(), privacy.NewMemory()
	erasure := privacy.Erasure{Key: store.KeyID{1}, ID: uuid.New(), At: time.Now(), By: "ann", Why: "asked", Done: true, Notice: 7}
	put(t, from, privacy.Record{Subject: "m-1", Key: store.KeyID{2}, Wrapped: []byte("old"), WrappedBy: "k", Erased: []privacy.Erasure{erasure}})
	put(t, from, privacy.Record{Subject: "m-2", Key: store.KeyID{3}, Wrapped: []byte("old"), WrappedBy: "k"})
	put(t, to, privacy.Record{Subject: "m-1", Key: store.KeyID{4}, Wrapped: []byte("wrapped4"), WrappedBy: "k"})
	for round, want := range []int{1, 0} {
		n, err := privacy.CarryErasures(t.Context(), from, to)
		if err != nil || n != want {
			t.Fatalf("round %d: carried %d, %v; want %d", round, n, err, want)
		}
	}
	r, err := to.Load(t.Context(), "m-1")
	if err != nil || r.Key != (store.KeyID{}) || !r.WasErased(store.KeyID{1}) || !r.WasErased(store.KeyID{4}) {
		t.Fatalf("m-1 has %+v, %v", r, err)
	}
	if to.Holds([]byte("wrapped4")) {
		t.Error("the bytes of a key that was given up are there")
	}
	if other, err := to.Load(t.Context(), "m-2"); err != nil || other.Revision != 0 {
		t.Errorf("m-2 was never forgotten: %+v, %v", other, err)
	}
}

func put(t *testing.T, keys privacy.Keys, r privacy.Record) {
	t.Helper()
	if _, err := keys.Store(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}
