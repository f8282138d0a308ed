package privacy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// worstTexts are as long as an erasure may have them, in JSON.
var worstTexts = strings.Repeat("<", 170)

// erasuresOf makes finished erasures, one an hour, each as large as it may be.
func erasuresOf(count int, first time.Time) []privacy.Erasure {
	all := make([]privacy.Erasure, count)
	for i := range all {
		at := first.Add(time.Duration(i) * time.Hour)
		all[i] = privacy.Erasure{
			Key: store.KeyID(uuid.New()), ID: uuid.New(), At: at, By: worstTexts, Why: worstTexts,
			Done: true, Finished: at.Add(time.Second), Notice: store.Position(1) << 62,
		}
		for range 16 {
			all[i].Also = append(all[i].Also, uuid.New())
		}
	}
	return all
}

func mustJoin(t *testing.T, r *privacy.Record, erased []privacy.Erasure) {
	t.Helper()
	if !r.Join(erased) {
		t.Error("it changed nothing")
	}
	if err := r.Validate(); err != nil {
		t.Errorf("%d erasures are refused: %v", len(r.Erased), err)
	}
	data, err := json.Marshal(r)
	if err != nil || len(data) > 1<<20-32<<10 {
		t.Errorf("the record has %d bytes, %v", len(data), err)
	}
}

// Lists of one person that are joined lose no erasure however long they are, fit into a record, and leave
// room for one more.
func TestJoinedErasuresAreAllKept(t *testing.T) {
	t.Parallel()
	began := time.Date(2020, 1, 1, 0, 0, 0, 123456789, time.UTC)
	keys := privacy.NewMemory()
	ring := ringOf(t, keys, wrapper(t))
	sealFor(t, ring, "ann")
	r := mustLoad(t, keys, "ann")
	var all []privacy.Erasure
	for n := range 7 {
		list := erasuresOf(256, began.Add(time.Duration(n)*time.Minute))
		if n == 0 {
			list[0].Done = false
		}
		all = append(all, list...)
		mustJoin(t, &r, list)
		if n == 1 && (r.Erased[1].Why != "" || r.Erased[0].Why == "" || r.Erased[511].Why == "") {
			t.Error("others than the oldest that are done lost their texts")
		}
		if r.Join(list) {
			t.Error("the same again changes it")
		}
	}
	for _, e := range all {
		if !r.WasErased(e.Key) {
			t.Fatalf("erasure %s of %d is lost", e.ID, len(all))
		}
	}
	if len(r.Erased) != len(all) || !slices.IsSortedFunc(r.Erased, func(a, b privacy.Erasure) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d erasures of %d, oldest first", len(r.Erased), len(all))
	}
	key := r.Key
	put(t, keys, r)
	receipt, err := forgetter(t, keys, ring).Forget(t.Context(), privacy.Request{Subject: "ann", By: worstTexts, Why: worstTexts})
	if err != nil || !receipt.Done {
		t.Fatalf("who has a key cannot be forgotten: %+v, %v", receipt, err)
	}
	if r := mustLoad(t, keys, "ann"); !r.WasErased(key) || len(r.Erased) != len(all)+1 {
		t.Errorf("%d erasures, the last key among them: %v", len(r.Erased), r.WasErased(key))
	}
}

// A request that was sent to both of two copies of a system has erased a key in each.
func TestJoinedErasuresOfOneRequest(t *testing.T) {
	t.Parallel()
	here, there := erasuresOf(1, time.Now())[0], erasuresOf(1, time.Now())[0]
	there.ID = here.ID
	r := privacy.Record{Subject: "ann", Key: there.Key, Wrapped: []byte("w"), WrappedBy: "k", Erased: []privacy.Erasure{here}}
	mustJoin(t, &r, []privacy.Erasure{there})
	if len(r.Erased) != 2 || !r.WasErased(here.Key) || !r.WasErased(there.Key) || r.Key != (store.KeyID{}) || r.Erased[0].ID == r.Erased[1].ID {
		t.Errorf("joined: %+v", r)
	}
	if r.Join([]privacy.Erasure{there, here}) || len(r.Erased) != 2 {
		t.Errorf("joined again: %+v", r)
	}
}

// What either has answered is answered, the last that the record itself has before all others.
func TestJoinedErasuresKnowTheirRequests(t *testing.T) {
	t.Parallel()
	here := erasuresOf(1, time.Now())[0]
	there := here
	there.Also = []uuid.UUID{uuid.New(), here.Also[15], uuid.New(), uuid.New(), here.ID}
	here.Also = here.Also[2:]
	kept := slices.Clone(here.Also)
	r := privacy.Record{Subject: "ann", Erased: []privacy.Erasure{here}}
	mustJoin(t, &r, []privacy.Erasure{there})
	want := append([]uuid.UUID{there.Also[2], there.Also[3]}, kept...)
	if len(r.Erased) != 1 || !slices.Equal(r.Erased[0].Also, want) || !slices.Equal(here.Also, kept) {
		t.Errorf("answered %v, want %v", r.Erased[0].Also, want)
	}
	if r.Join([]privacy.Erasure{there}) {
		t.Error("a second time changes it")
	}
}

// A namespace that is migrated takes the erasures of one whose list is full.
func TestCarriedErasuresAreAllKept(t *testing.T) {
	t.Parallel()
	from, to := privacy.NewMemory(), privacy.NewMemory()
	there, here := erasuresOf(256, time.Now()), erasuresOf(256, time.Now().Add(time.Minute))
	put(t, from, privacy.Record{Subject: "ann", Erased: there})
	put(t, to, privacy.Record{Subject: "ann", Key: store.KeyID{9}, Wrapped: []byte("w"), WrappedBy: "k", Erased: here[:255]})
	for round, want := range []int{256, 0} {
		if n, err := privacy.CarryErasures(t.Context(), from, to); err != nil || n != want {
			t.Fatalf("round %d: carried %d, %v", round, n, err)
		}
	}
	r := mustLoad(t, to, "ann")
	for _, e := range slices.Concat(there, here[:255], []privacy.Erasure{{Key: store.KeyID{9}}}) {
		if !r.WasErased(e.Key) {
			t.Fatalf("the erasure of %s is lost", e.Key)
		}
	}
	if r.Key != (store.KeyID{}) {
		t.Error("the key that may seal what was forgotten is there")
	}
}
