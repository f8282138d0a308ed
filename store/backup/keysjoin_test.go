package backup_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/privacy"
)

// A person who was forgotten often in both is restored with all erasures, and the request that either has answered
// is answered.
func TestRestoreKeysJoinsLongLists(t *testing.T) {
	t.Parallel()
	source := newKeyStore(uuid.New())
	source.put(t, "ben", newKey)
	source.put(t, "ben", forget)
	at := source.clone(t)
	asked := uuid.New()
	source.put(t, "ben", func(r *privacy.Record) { r.Erased[0].Also = []uuid.UUID{asked} })
	long := strings.Repeat("x", 1000)
	for _, k := range []*keyStore{source, at} {
		for range 256 {
			k.put(t, "ann", newKey)
			k.put(t, "ann", forget)
			k.put(t, "ann", func(r *privacy.Record) { r.Erased[len(r.Erased)-1].By, r.Erased[len(r.Erased)-1].Why = long, long })
		}
	}
	v, _ := vaultIn(t)
	mustCopy(t, v, source)
	want := append(source.get(t, "ann").Erased, at.get(t, "ann").Erased...)
	for round := range 2 {
		done, err := mustOpenKeys(t, v).Restore(t.Context(), at, 0)
		if err != nil || int(done.Stored) != 2-2*round {
			t.Fatalf("round %d: %+v, %v", round, done, err)
		}
	}
	r := at.get(t, "ann")
	for _, e := range want {
		if !r.WasErased(e.Key) {
			t.Fatalf("the erasure of %s is lost", e.Key)
		}
	}
	if also := at.get(t, "ben").Erased[0].Also; len(r.Erased) != 512 || !slices.Contains(also, asked) {
		t.Errorf("%d erasures; ben's answered %v", len(r.Erased), also)
	}
	if _, err := backup.CopyKeys(t.Context(), v, namespace, at, ""); err != nil {
		t.Errorf("a copy of them: %v", err)
	}
}
