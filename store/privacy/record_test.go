package privacy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Whoever has a key can be forgotten, as often as it is promised and with the longest
// texts there may be, and the record never outgrows a message.
func TestForgottenAsOftenAsPromised(t *testing.T) {
	t.Parallel()
	k, keys := newRing(t)
	f := forgetter(t, keys, k)
	worst := strings.Repeat("<", 170) // six bytes each in JSON
	times := 0
	for {
		data, spans := encode(t, store.JSON, field{"name", "Ann", "ann"})
		_, _, err := k.Seal(t.Context(), privacy.Scope{}, store.JSON, data, spans)
		if errors.Is(err, store.ErrTooLarge) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // others ask for the same
			r, err := f.Forget(t.Context(), privacy.Request{Subject: "ann", By: worst, Why: worst, ID: uuid.New()})
			if err != nil || !r.Done {
				t.Fatalf("forgotten the %d. time: %+v, %v", times+1, r, err)
			}
		}
		times++
	}
	record, err := keys.Load(t.Context(), "ann")
	if err != nil || times != 256 || len(record.Erased) != times {
		t.Fatalf("forgotten %d times, %d erasures, %v", times, len(record.Erased), err)
	}
	data, err := json.Marshal(record)
	if err != nil || len(data) > 1<<20-32<<10 { // less the key, and what a message has beside it
		t.Errorf("the record has %d bytes, %v", len(data), err)
	}
	long := privacy.Request{Subject: "ann", By: worst, Why: worst + "<<"}
	if _, err := f.Forget(t.Context(), long); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("with longer texts: %v", err)
	}
}

// A request that comes again with another id, while there is nothing to erase, is
// answered by what was done; and known when it comes again later.
func TestForgettingWithFreshIDs(t *testing.T) {
	t.Parallel()
	k, keys := newRing(t)
	f := forgetter(t, keys, k)
	sealFor(t, k, "ann")
	first := mustForget(t, f, "ann")
	var ids []uuid.UUID
	for i := range 40 {
		ids = append(ids, uuid.New())
		r, err := f.Forget(t.Context(), privacy.Request{Subject: "ann", ID: ids[i]})
		if err != nil || r.ID != first.ID || !r.Done {
			t.Fatalf("%d. request: %+v, %v", i, r, err)
		}
	}
	if n := len(mustKeys(t, keys, "ann")); n != 1 {
		t.Fatalf("%d erasures", n)
	}
	sealFor(t, k, "ann") // who was seen again
	r, err := f.Forget(t.Context(), privacy.Request{Subject: "ann", ID: ids[39]})
	if err != nil || r.ID != first.ID {
		t.Errorf("the last request again: %+v, %v", r, err)
	}
	r, err = f.Forget(t.Context(), privacy.Request{Subject: "ann", ID: uuid.New()})
	if err != nil || r.ID == first.ID || fmt.Sprint(r.Key) == fmt.Sprint(first.Key) {
		t.Errorf("another request: %+v, %v", r, err)
	}
}
