package store_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// A letter is sealed by hand: the places of values that occur once are searched for.
func placesOf(t *testing.T, codec store.Codec, data []byte, values ...any) []store.Personal {
	t.Helper()
	var spans []store.Personal
	for _, v := range values {
		value, err := codec.Marshal(v)
		if err != nil || bytes.Count(data, value) != 1 {
			t.Fatalf("%q is in %q %d times, %v", value, data, bytes.Count(data, value), err)
		}
		start := bytes.Index(data, value)
		spans = append(spans, store.Personal{Start: start, End: start + len(value)})
	}
	slices.SortFunc(spans, func(a, b store.Personal) int { return a.Start - b.Start })
	return spans
}

// seal is reversible: the envelope of a value is a mark and the value.
func seal(t *testing.T, codec store.Codec, data []byte, spans []store.Personal) []byte {
	t.Helper()
	sealed, err := store.ReplaceSpans(codec, data, spans, func(_ int, value []byte) ([]byte, error) {
		return store.SealedForm(codec, append([]byte("~"), value...)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// opener opens what seal has sealed, and leaves out the paths that are forgotten.
func opener(forgotten ...string) func(string, []byte) ([]byte, store.Personal, error) {
	return func(path string, envelope []byte) ([]byte, store.Personal, error) {
		if len(envelope) == 0 || envelope[0] != '~' {
			return nil, store.Personal{}, errors.New("no envelope")
		}
		if slices.Contains(forgotten, path) {
			return nil, store.Personal{}, nil
		}
		return envelope[1:], store.Personal{Subject: "of " + path}, nil
	}
}

type letter struct {
	To    string            `json:"to"`
	Lines []string          `json:"lines"`
	Notes map[string]string `json:"notes"`
	Last  string            `json:"last"`
}

func TestSealedRoundTrip(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		plain, err := codec.Marshal(letter{To: "Ann", Lines: []string{"one", "two"}, Notes: map[string]string{"a": "PS", "b c": strings.Repeat("x", 300)}, Last: "bye"})
		if err != nil {
			t.Fatal(err)
		}
		spans := placesOf(t, codec, plain, "Ann", "two", "PS", strings.Repeat("x", 300), "bye")
		sealed := seal(t, codec, plain, spans)
		if store.HoldsSealed(codec, plain) || !store.HoldsSealed(codec, sealed) {
			t.Errorf("%s: plain data hold sealed ones, or sealed ones do not", codec.Name())
		}
		opened, personal, shredded, err := store.OpenSealed(codec, sealed, opener())
		if err != nil || !bytes.Equal(opened, plain) || len(shredded) != 0 {
			t.Fatalf("%s: %q became %q, %q, %v", codec.Name(), plain, opened, shredded, err)
		}
		var paths []string
		for i, p := range personal {
			if p.Start != spans[i].Start || p.End != spans[i].End || p.Subject != "of "+p.Path {
				t.Errorf("%s: %+v, want the place of %+v", codec.Name(), p, spans[i])
			}
			paths = append(paths, p.Path)
		}
		if want := []string{"to", "lines[1]", "notes.a", `notes["b c"]`, "last"}; !slices.Equal(paths, want) {
			t.Errorf("%s: the paths are %q, want %q", codec.Name(), paths, want)
		}
	}
}

// Bytes that look like the beginning of a sealed value are none: in a photo, a key or a
// number they are there by chance, and what holds them is stored and read as ever.
func TestLookalikesAreNotSealed(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]any{"taken": struct {
		Photo []byte `json:"photo"`
	}{}})
	for _, alike := range []string{"\xc7\x01\x50", "\xc8\x00\x01\x50", "\xc9\x00\x00\x00\x01\x50"} {
		for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
			data, err := codec.Marshal(map[string]any{"photo": []byte("before" + alike + "after")})
			if err != nil {
				t.Fatal(err)
			}
			if codec == store.MsgPack && !store.MayHoldSealed(codec, data) {
				t.Errorf("%q does not look like a sealed value", alike)
			}
			if store.HoldsSealed(codec, data) {
				t.Errorf("%s: %q holds a sealed value", codec.Name(), data)
			}
			if spans, err := types.Spans(codec, "taken", 1, data); err != nil || spans != nil {
				t.Errorf("%s: the spans are %v, %v", codec.Name(), spans, err)
			}
			opened, _, _, err := store.OpenSealed(codec, data, opener())
			if err != nil || !bytes.Equal(opened, data) {
				t.Errorf("%s: %q became %q, %v", codec.Name(), data, opened, err)
			}
		}
	}
}
