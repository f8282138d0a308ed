package kv

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

// FuzzCursor: a cursor that is taken says where it has come to, and says so again.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{"", "7.0.0", "7.3.2", "4611686018427387903.4611686018427387903.4611686018427387903", "4611686018427387904.0.0", "-1.0.0", "1.2", "1.2.3.4", "x", "\x00", "+1.0.0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseCursor(text)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("untyped error: %v", err)
			}
			return
		}
		if again, err := parseCursor(p.cursor()); err != nil || again != p || p.beyond < p.through {
			t.Errorf("%q is %+v, and then %+v: %v", text, p, again, err)
		}
	})
}

// FuzzAcknowledgement: nothing is taken for committed without a sequence, and a batch
// not without its size.
func FuzzAcknowledgement(f *testing.F) {
	for _, text := range []string{`{"seq":7}`, `{"seq":7,"count":3}`, `{"error":{"err_code":10071}}`, `{"seq":0}`, `null`, `[`, ``, `{"seq":-1}`, `{"count":3}`} {
		f.Add([]byte(text), 1)
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		revision, result, cause := readAck(data, size)
		if result == committed && (revision == 0 || cause != nil) || result != committed && cause == nil {
			t.Errorf("%s: %d %v %v", data, revision, result, cause)
		}
	})
}
