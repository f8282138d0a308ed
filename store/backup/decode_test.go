package backup

import (
	"bytes"
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// FuzzManifest: what lies in a vault is a manifest that says the same when it is sealed
// again, or a typed error.
func FuzzManifest(f *testing.F) {
	good, err := (&Manifest{Format: manifestFormat, ID: "x", Namespace: "bank"}).seal()
	if err != nil {
		f.Fatal(err)
	}
	keys, err := (&KeysManifest{Format: keysFormat}).seal()
	if err != nil {
		f.Fatal(err)
	}
	for _, data := range [][]byte{good, keys, {}, []byte(`{}`), []byte(`null`), []byte(`{"manifest":[],"sum":"x"}`), bytes.Replace(good, []byte(`bank`), []byte(`shop`), 1), good[:len(good)-2]} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := unseal(data)
		judge(t, err)
		if err == nil {
			again, err := m.seal()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := unseal(again); err != nil {
				t.Errorf("%s: %v", again, err)
			}
		}
		k, err := unsealKeys(data)
		judge(t, err)
		if err == nil {
			if again, err := k.seal(); err != nil || len(again) == 0 {
				t.Error(err)
			}
		}
	})
}

// FuzzKeyRecord: the same for a record of keys.
func FuzzKeyRecord(f *testing.F) {
	for _, text := range []string{`{"subject":"ann"}`, `{}`, `null`, `{"subject":"bob"}`, `{"subject":"ann","erased":[{"key":"AAAA"}]}`} {
		f.Add("ann", []byte(text))
	}
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		r, err := decodeRecord(segment.Value{Key: key, Data: data})
		judge(t, err)
		if err == nil && r.Subject != key {
			t.Errorf("the record of %q is of %q", key, r.Subject)
		}
	})
}

func judge(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrInvalid) {
		t.Errorf("untyped error: %v", err)
	}
}
