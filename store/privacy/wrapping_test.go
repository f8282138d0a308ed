package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// wrapFile is a file of wrapping keys of a test, with one key of each name.
func wrapFile(tb testing.TB, names ...string) (path string, open func() *privacy.File) {
	tb.Helper()
	path = tb.TempDir() + "/keys"
	for _, name := range names {
		if err := privacy.GenerateFile(path, name); err != nil {
			tb.Fatal(err)
		}
	}
	return path, func() *privacy.File {
		f, err := privacy.OpenFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		return f
	}
}

func wrappedBy(tb testing.TB, keys privacy.Keys, subject string) string {
	tb.Helper()
	r, err := keys.Load(tb.Context(), subject)
	if err != nil || r.Key == (store.KeyID{}) {
		tb.Fatalf("record of %s: %+v, %v", subject, r, err)
	}
	return r.WrappedBy
}

// A node that runs on wraps by the new wrapping key once another process has wrapped all
// keys anew; and not before, for others may not have it.
func TestWrapsByTheNamespacesKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, open := wrapFile(t, "first")
		keys := privacy.NewMemory()
		follows, asks := ringOf(t, keys, open()), ringOf(t, keys, open())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- follows.Run(ctx) }()
		synctest.Wait()
		sealFor(t, follows, "a")
		sealFor(t, asks, "b")
		if err := privacy.GenerateFile(path, "second"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		sealFor(t, follows, "c")
		if by := wrappedBy(t, keys, "c"); by != "first" {
			t.Fatalf("wrapped by %s before a rewrap", by)
		}
		began := time.Now()
		if _, err := privacy.Rewrap(t.Context(), keys, open(), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the one that follows has heard of it
		sealFor(t, follows, "d")
		time.Sleep(time.Second) // the other asks again
		sealFor(t, asks, "e")
		for _, subject := range []string{"a", "b", "c", "d", "e"} {
			if by := wrappedBy(t, keys, subject); by != "second" {
				t.Errorf("the key of %s is wrapped by %s", subject, by)
			}
		}
		r, err := keys.Load(t.Context(), privacy.WrappingSubject)
		if err != nil || r.WrappedBy != "second" || r.Made.Before(began) || !r.IsWrapping() {
			t.Errorf("what is current: %+v, %v", r, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What was taken out of a file is not used any more, and what is not there is refused.
func TestWrappingKeyTakenOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, open := wrapFile(t, "first")
		keys := privacy.NewMemory()
		k := ringOf(t, keys, open())
		sealFor(t, k, "a")
		if err := privacy.GenerateFile(path, "second"); err != nil {
			t.Fatal(err)
		}
		both, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(both)), "\n")
		if err := os.WriteFile(path, []byte(lines[len(lines)-1]), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		data, spans := encode(t, store.JSON, field{"name", "Ann", "b"})
		_, _, err = k.Seal(t.Context(), privacy.Scope{}, store.JSON, data, spans)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("a key wrapped by what was taken out: %v", err)
		}
		if r, err := keys.Load(t.Context(), "b"); err != nil || r.Revision != 0 {
			t.Fatalf("record %+v, %v", r, err)
		}
	})
}

// A wrapping key of the right name with other bytes, and none of the name, are told at
// once, and no key is ever wrapped by one.
func TestStrangersWrappingKey(t *testing.T) {
	t.Parallel()
	_, own := wrapFile(t, "first")
	_, stranger := wrapFile(t, "first")
	_, nameless := wrapFile(t, "other")
	keys := privacy.NewMemory()
	if err := ringOf(t, keys, stranger()).Check(t.Context()); err != nil {
		t.Fatalf("where nothing is kept yet: %v", err)
	}
	sealFor(t, ringOf(t, keys, own()), "a")
	if err := ringOf(t, keys, own()).Check(t.Context()); err != nil {
		t.Fatalf("the right one: %v", err)
	}
	for _, c := range []struct {
		name  string
		w     privacy.Wrapper
		other bool
	}{{"other bytes", stranger(), true}, {"no such name", nameless(), false}} {
		k := ringOf(t, keys, c.w)
		err := k.Check(t.Context())
		var wrong *privacy.WrappingError
		if !errors.As(err, &wrong) || wrong.Name != "first" || wrong.Other != c.other || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", c.name, err)
		}
		data, spans := encode(t, store.JSON, field{"name", "Ann", "b"})
		if _, _, err := k.Seal(t.Context(), privacy.Scope{}, store.JSON, data, spans); !errors.As(err, &wrong) {
			t.Errorf("%s: sealed: %v", c.name, err)
		}
		if _, err := privacy.Rewrap(t.Context(), keys, c.w, nil); !errors.As(err, &wrong) {
			t.Errorf("%s: wrapped anew: %v", c.name, err)
		}
	}
	if r, err := keys.Load(t.Context(), "b"); err != nil || r.Revision != 0 {
		t.Errorf("a stranger made %+v, %v", r, err)
	}
	if by := wrappedBy(t, keys, "a"); by != "first" {
		t.Errorf("wrapped by %s", by)
	}
}

// A key store from before it was written down which wrapping key is current has keys that tell.
func TestStrangersWrappingKeyWithoutAWord(t *testing.T) {
	t.Parallel()
	_, own := wrapFile(t, "first")
	_, stranger := wrapFile(t, "first")
	from, keys := privacy.NewMemory(), realmOf{privacy.NewMemory(), uuid.Nil}
	keys.realm = from.Realm()
	sealFor(t, ringOf(t, from, own()), "a")
	r, err := from.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	r.Revision = 0
	if _, err := keys.Store(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var wrong *privacy.WrappingError
	if err := ringOf(t, keys, stranger()).Check(t.Context()); !errors.As(err, &wrong) || !wrong.Other {
		t.Errorf("the stranger: %v", err)
	}
	if err := ringOf(t, keys, own()).Check(t.Context()); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

// realmOf is a key store of another realm.
type realmOf struct {
	*privacy.Memory
	realm uuid.UUID
}

func (r realmOf) Realm() uuid.UUID { return r.realm }

// A file in which a name has other bytes now is not taken over while it is used.
func TestWrappingKeyChangesUnderItsName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, open := wrapFile(t, "first")
		other, _ := wrapFile(t, "first")
		f := open()
		wrapped, err := f.Wrap(t.Context(), "first", make([]byte, 32), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if _, err := f.Unwrap(t.Context(), "first", wrapped, nil); err != nil {
			t.Errorf("after the change: %v", err)
		}
	})
}

// Nobody is called what the record of the wrapping key is called.
func TestWrappingSubjectIsNobody(t *testing.T) {
	t.Parallel()
	k, keys := newRing(t)
	data, spans := encode(t, store.JSON, field{"name", "Ann", privacy.WrappingSubject})
	if _, _, err := k.Seal(t.Context(), privacy.Scope{}, store.JSON, data, spans); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("sealed: %v", err)
	}
	if _, err := forgetter(t, keys, k).Forget(t.Context(), privacy.Request{Subject: privacy.WrappingSubject}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("forgotten: %v", err)
	}
	for i := range 3 {
		sealFor(t, k, fmt.Sprint(i))
	}
}
