package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// After a rewrap nothing needs the old wrapping key, and nothing that it wrapped is left.
func TestRewrap(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/keys"
	open := func(name string) *privacy.File {
		if err := privacy.GenerateFile(path, name); err != nil {
			t.Fatal(err)
		}
		w, err := privacy.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	keys := &faulty{Keys: privacy.NewMemory()}
	k := ringOf(t, keys, open("first"))
	var sealed, wrapped [][]byte
	for i := range 40 {
		subject := fmt.Sprint("subject ", i)
		data, _ := sealFor(t, k, subject)
		r, err := keys.Load(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		sealed, wrapped = append(sealed, data), append(wrapped, r.Wrapped)
	}
	mustForget(t, forgetter(t, keys, k), "subject 0")
	second := open("second")

	// It is interrupted, and called again.
	var erased atomic.Int64 // records are wrapped side by side
	keys.set(func(what string) error {
		if what == "erase" {
			if erased.Add(1) == 10 {
				return fmt.Errorf("%w: no server", store.ErrUnavailable)
			}
		}
		return nil
	}, nil)
	if _, err := privacy.Rewrap(t.Context(), keys, second, nil); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("rewrap that is interrupted: %v", err)
	}
	keys.set(nil, nil)
	last := privacy.Rewrapped{}
	done, err := privacy.Rewrap(t.Context(), keys, second, func(r privacy.Rewrapped) { last = r })
	if err != nil || done.Seen != 39 || done.Changed == 39 || last != done {
		t.Fatalf("rewrapped %+v, %+v, %v", done, last, err)
	}
	for i, w := range wrapped {
		if keys.Keys.(*privacy.Memory).Holds(w) {
			t.Errorf("the key of subject %d as it was wrapped before is there still", i)
		}
	}
	for r, err := range keys.All(t.Context()) {
		if err != nil || r.Key != (store.KeyID{}) && r.WrappedBy != "second" {
			t.Errorf("record of %s is wrapped by %q (%v)", r.Subject, r.WrappedBy, err)
		}
	}
	later := ringOf(t, keys, second)
	for i, data := range sealed {
		if opens(t, later, data) != (i > 0) {
			t.Errorf("subject %d", i)
		}
	}
	// A node that opened the file before finds the key that was added.
	if !opens(t, k, sealed[1]) {
		t.Error("the old keyring is blind")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = privacy.Rewrap(ctx, keys, second, nil)
	if err == nil {
		t.Error("without time all is well")
	}
}
