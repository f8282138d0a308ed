package store_test

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

// FuzzNames: what is read as the name of a stream, or of a corrected event, is printed
// so that it is read again as the same.
func FuzzNames(f *testing.F) {
	for _, text := range []string{"account/a", "account/a/b/7", "account//1", "/", "", "01890a5d-ac96-774b-bcce-b302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}", "account/a/18446744073709551616", "Account/a", "account/\x00", "account/a/0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := store.ParseCorrected(text)
		if err == nil {
			if again, err := store.ParseCorrected(c.String()); err != nil || again != c {
				t.Errorf("%q became %+v: %v", text, again, err)
			}
		} else if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("untyped error: %v", err)
		}
		id, err := store.ParseStreamID(text)
		if err == nil {
			if again, err := store.ParseStreamID(id.String()); err != nil || again != id {
				t.Errorf("%q became %+v: %v", text, again, err)
			}
		} else if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("untyped error: %v", err)
		}
	})
}
