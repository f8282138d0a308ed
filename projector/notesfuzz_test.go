package projector

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

// FuzzNotes: what a store gives for dead letters and skipped events is one of them, or a
// typed error.
func FuzzNotes(f *testing.F) {
	for _, key := range []string{parkedKeys + "x", skippedKeys + "x", "other"} {
		for _, value := range []string{`{}`, `null`, `{"stream":{"Type":"a","ID":"b"}}`, `[`, `{"attempts":-1}`, ``} {
			f.Add(key, []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		m := newRemembered()
		if err := m.recall(Note{Key: key, Value: value}); err != nil {
			return
		}
		if len(m.letters)+len(m.skipped) > 1 {
			t.Errorf("%q is %+v", key, m)
		}
		for _, l := range m.byPosition() {
			if l == nil {
				t.Errorf("%q is no letter", value)
			}
		}
	})
}

// FuzzCursor: a cursor that is taken is one that a view made.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{"", "1.0.7", "1.0.", "1.0.a.b", "x.0.7", "-1.-1.7", "18446744073709551616.0.1", "7", "\x00", "1.2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, inner, err := parseCursor("totals", text)
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("untyped error: %v", err)
		}
		if err == nil && text != "" {
			again, left, err := parseCursor("totals", cursorOf(m, inner))
			if err != nil || again != m || left != inner {
				t.Errorf("%q became %v %q: %v", text, again, left, err)
			}
		}
		if _, err := parseMemoryCursor(text); err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("untyped error: %v", err)
		}
	})
}
