package privacy_test

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A sealed value says whose it is and under which key, without that key.
func TestKeyOf(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	sealed, ann := sealFor(t, k, "ann")
	seen := 0
	_, _, _, err := store.OpenSealed(store.MsgPack, sealed, func(_ string, envelope []byte) ([]byte, store.Personal, error) {
		seen++
		if ref, err := privacy.KeyOf(envelope); err != nil || ref != ann {
			t.Errorf("%v, %v, want %v", ref, err, ann)
		}
		for cut := range envelope[:30] {
			if ref, err := privacy.KeyOf(envelope[:cut]); !errors.Is(err, store.ErrDamaged) || ref != (store.KeyRef{}) {
				t.Errorf("of %d bytes: %v, %v", cut, ref, err)
			}
		}
		return nil, store.Personal{}, nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d values, %v", seen, err)
	}
}
