package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A list of all records has every subject, also one whose record changes before it is
// its turn, behind others that change again: the server passes over what is erased.
func TestAllKeysWhileRecordsChange(t *testing.T) {
	t.Parallel()
	const subjects = 2*minPull + 200 // more than is on its way to the reader
	k := openKeys(t, &single, KeysConfig{})
	records := make([]privacy.Record, subjects)
	for i := range records {
		records[i] = mustStoreKey(t, k, keyRecord(fmt.Sprintf("s%04d", i)))
	}
	change := func(r privacy.Record) {
		t.Helper()
		next := mustStoreKey(t, k, forgotten(r))
		if err := k.Erase(t.Context(), r.Subject, next.Revision); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]privacy.Record{}
	for r, err := range k.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) == 0 {
			for _, i := range []int{0, 1, subjects - 1} { // the first two have been sent
				change(records[i])
			}
		}
		seen[r.Subject] = r
	}
	if len(seen) != subjects {
		t.Errorf("%d of %d subjects were listed", len(seen), subjects)
	}
	if last := seen[records[subjects-1].Subject]; len(last.Erased) != 1 {
		t.Errorf("the last one is %+v, want the one that was forgotten", last)
	}
}

// So it is while several writers change records all the time.
func TestAllKeysUnderLoad(t *testing.T) {
	t.Parallel()
	const writers = 4
	subjects, listings := 1600, 40
	if testing.Short() {
		subjects, listings = 400, 8
	}
	k := openKeys(t, &single, KeysConfig{})
	records := make([]privacy.Record, subjects)
	for i := range records {
		records[i] = mustStoreKey(t, k, keyRecord(fmt.Sprintf("s%04d", i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	for w := range writers {
		changing.Go(func() {
			for i := w; ctx.Err() == nil; i = (i + 7*writers) % subjects {
				revision, err := k.Store(ctx, records[i])
				if err == nil {
					records[i].Revision = revision
					err = k.Erase(ctx, records[i].Subject, revision)
				}
				if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
					// The server is busy, and it is the lists that are tried.
					if now, err := k.Load(ctx, records[i].Subject); err == nil {
						records[i] = now
					}
					continue
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range listings {
		seen := map[string]bool{}
		for r, err := range k.All(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			seen[r.Subject] = true
		}
		if len(seen) != subjects {
			t.Errorf("%d of %d subjects were listed", len(seen), subjects)
		}
	}
	stop()
	changing.Wait()
}
