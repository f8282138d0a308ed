package postgres

import (
	"errors"
	"strconv"
	"testing"

	"github.com/annals-go/annals/store"
)

// FuzzCursor: a cursor that is taken is a number that a list ended at.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{"", "0", "7", "9223372036854775807", "9223372036854775808", "-1", "x", "1 OR 1=1", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		after, err := parseCursor(text)
		if err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("untyped error: %v", err)
		}
		if err != nil || text == "" {
			return
		}
		if n, err := strconv.ParseUint(text, 10, 63); err != nil || int64(n) != after || after < 0 {
			t.Errorf("%q is %d", text, after)
		}
	})
}
