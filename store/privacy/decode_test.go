package privacy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

// FuzzEnvelope: an envelope that is taken is the only spelling of what it says.
func FuzzEnvelope(f *testing.F) {
	head := appendEnvelopeHead(nil, store.KeyRef{Subject: "ann", ID: store.KeyID{7}})
	f.Add(append(head, make([]byte, nonceBytes+tagBytes)...))
	f.Add(head)
	f.Add([]byte{})
	f.Add(append(bytes.Repeat([]byte{1}, 17), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data, "ann")
		if err != nil {
			return
		}
		if again := append(appendEnvelopeHead(nil, e.ref), e.sealed...); !bytes.Equal(again, data) {
			t.Errorf("%x and %x are the same", again, data)
		}
	})
}

// FuzzWrapKeys: what is taken are keys with names, and an error shows none.
func FuzzWrapKeys(f *testing.F) {
	key := strings.Repeat("A", 43) + "="
	for _, text := range []string{"k1 " + key, "# none\n\nk1 " + key + "\nk2 " + key, "k1 " + key + "\nk1 " + key, "k1", "k1 " + key[:40], "K " + key, key + " k1", "\x00", strings.Repeat("x", 70_000)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := parseWrapKeys(text)
		if err != nil {
			for field := range strings.FieldsSeq(string(text)) {
				if len(field) >= 40 && strings.Contains(err.Error(), field) && store.ValidateName("name", field) != nil {
					t.Errorf("the error shows %q: %v", field, err)
				}
			}
			return
		}
		if _, known := w.keys[w.current]; !known || len(w.keys) > maxWrapKeys {
			t.Errorf("%d keys, of which %q is the current one", len(w.keys), w.current)
		}
		for name, key := range w.keys {
			if store.ValidateName("name", name) != nil || len(key) != keyBytes {
				t.Errorf("key %q has %d bytes", name, len(key))
			}
		}
	})
}

// FuzzCommandAnswer: whatever a program prints is an answer or a typed error, which
// shows nothing of it.
func FuzzCommandAnswer(f *testing.F) {
	for _, text := range []string{`{}`, `{"error":"damaged"}`, `{"error":"not found"}`, `{"error":"secret-secret"}`, `null`, `[`, `{"key":7}`, `{"wrapped":"QUFB"}`, strings.Repeat("[", 20_000)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := readCommandAnswer(data)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("untyped error: %v", err)
		}
		if diff := cmp.Diff(commandAnswer{}, a); diff != "" {
			t.Errorf("an answer beside the error: %s", diff)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows what was answered: %v", err)
		}
	})
}

// FuzzRecord: a record of keys that is taken stays what it is.
func FuzzRecord(f *testing.F) {
	good, err := json.Marshal(Record{Subject: "ann", Key: store.KeyID{1}, Wrapped: []byte("w"), WrappedBy: "k1", Erased: []Erasure{{Key: store.KeyID{2}, By: "b", Why: "w"}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(good), `{}`, `null`, `{"subject":"a.b"}`, `{"subject":"ann","erased":[{}]}`, `{"subject":"ann","key":"zz"}`, `[`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again Record
		if json.Unmarshal(data, &r) != nil || r.Validate() != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || again.Validate() != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if more, err := json.Marshal(again); err != nil || !bytes.Equal(more, text) {
			t.Errorf("%s became %s", text, more)
		}
	})
}

// FuzzNotice: a notice that is taken names somebody.
func FuzzNotice(f *testing.F) {
	for _, codec := range []store.Codec{store.JSON, store.MsgPack} {
		e, err := Notice{Subject: "ann"}.Event(codec, 0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Data, codec == store.JSON)
	}
	f.Add([]byte(`{}`), true)
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, data []byte, text bool) {
		codec := store.MsgPack
		if text {
			codec = store.JSON
		}
		n, err := ReadNotice(codec, data)
		if (err == nil) == (n.Subject == "") {
			t.Errorf("%+v, %v", n, err)
		}
		if err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("untyped error: %v", err)
		}
	})
}

// What wraps keys is bounded, whatever a file or a program says.
func TestWrappingIsBounded(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	for i := range maxWrapKeys {
		fmt.Fprintf(&file, "k%d %s=\n", i, strings.Repeat("A", 43))
	}
	if w, err := parseWrapKeys([]byte(file.String())); err != nil || len(w.keys) != 1024 {
		t.Errorf("1,024 keys: %v", err)
	}
	if _, err := parseWrapKeys([]byte(file.String() + "more " + strings.Repeat("A", 43) + "=\n")); err == nil {
		t.Error("1,025 keys were taken")
	}
	program := filepath.Join(t.TempDir(), "endless")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec head -c 100000 /dev/zero\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCommand(t.Context(), CommandConfig{Path: program, Timeout: 10 * time.Second}); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "more than 65536 bytes") {
		t.Errorf("a program that says too much: %v", err)
	}
}
