package store_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

// Types whose tags are wrong, each in its own way.
type (
	noSubject struct {
		Name string `json:"name" personal:"owner"`
	}
	goNameOfSubject struct {
		Owner string `json:"owner"`
		Name  string `json:"name" personal:"Owner"`
	}
	emptySubject struct {
		Name string `json:"name" personal:""`
	}
	keySubject struct {
		Name string `json:"name" personal:"@key"`
	}
	personalSubject struct {
		Owner string `json:"owner" personal:"@id"`
		Name  string `json:"name" personal:"owner"`
	}
	floatSubject struct {
		Owner float64 `json:"owner"`
		Name  string  `json:"name" personal:"owner"`
	}
	timeSubject struct {
		Owner time.Time `json:"owner"`
		Name  string    `json:"name" personal:"owner"`
	}
	personalTwice struct {
		People []noSubject `json:"people" personal:"@id"`
	}
	hiddenPersonal struct {
		Name string `json:"-" personal:"@id"`
	}
	unexportedPersonal struct {
		name string `personal:"@id"` //nolint:unused // it is what is refused
	}
	embeddedPersonal struct {
		letter `personal:"@id"`
	}
	encodesItself struct {
		Name string `json:"name" personal:"@id"`
	}
	holdsSuch struct{ Inner []encodesItself }
	reserved  struct {
		Shredded []string `json:"annals:shredded"`
	}
	goneInside struct {
		Inner struct {
			Gone store.Shredded `json:"-"`
		} `json:"inner"`
	}
	goneWritten struct{ Gone store.Shredded }
	// In every place the nearest field counts: here it is of a wrong type, in the
	// innermost of three types that hold each other.
	outermost struct {
		ID    int    `json:"id"`
		Inner middle `json:"inner"`
	}
	middle struct {
		Name  string     `json:"name" personal:"id"`
		Inner *innermost `json:"inner"`
	}
	innermost struct {
		ID    float64 `json:"id"`
		Inner *middle `json:"inner"`
	}
	otherNameInMsgPack struct {
		Owner string `json:"owner" msgpack:"o"`
		Name  string `json:"name" personal:"owner"`
	}
)

func (encodesItself) MarshalJSON() ([]byte, error) { return json.Marshal("x") }

func TestPersonalTagsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		v    any
		says string
	}{
		{noSubject{}, `"owner", which no field`},
		{goNameOfSubject{}, `"Owner", which no field`},
		{emptySubject{}, `"", which no field`},
		{keySubject{}, `"@key", which no field`},
		{personalSubject{}, "personal itself"},
		{floatSubject{}, "float64: want text or an integer"},
		{timeSubject{}, "time.Time: want text or an integer"},
		{personalTwice{}, "personal whole"},
		{hiddenPersonal{}, "never encoded"},
		{unexportedPersonal{}, "never encoded"},
		{embeddedPersonal{}, "is embedded"},
		{encodesItself{}, "encodes itself"},
		{holdsSuch{}, "encodes itself"},
		{reserved{}, "reserved"},
		{goneInside{}, "store.Shredded inside"},
		{goneWritten{}, "tagged"},
		{outermost{}, "float64"},
		{otherNameInMsgPack{}, `"owner", which no field`},
	} {
		text := panicOf(func() { store.NewTypes(map[string]any{"name": test.v}) })
		if !strings.Contains(text, test.says) {
			t.Errorf("%T: it says %q, want it to say %q", test.v, text, test.says)
		}
		if strings.Contains(test.says, "Shredded") || strings.Contains(test.says, "tagged") {
			continue // which a document's type may have in vain
		}
		if _, err := store.PersonalFields(reflect.TypeOf(test.v)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%T as a document: %v, want it to say %q", test.v, err, test.says)
		}
		if _, err := store.PersonalSpans(store.JSON, test.v, []byte("{}")); err == nil {
			t.Errorf("%T as a document has spans", test.v)
		}
	}
	old := panicOf(func() {
		store.NewTypes(map[string]any{"opened": opened{}}, store.Upcast("opened", 1, func(noSubject) opened { return opened{} }))
	})
	if !strings.Contains(old, `"owner", which no field`) {
		t.Errorf("an old type with wrong tags: %q", old)
	}
}

func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

// What a codec writes decides which fields there are: the one of the outermost struct,
// and none if two are equal.
func TestPersonalShadowed(t *testing.T) {
	t.Parallel()
	type inner struct {
		Name string `json:"name" personal:"id"`
		Town string `json:"town" personal:"id"`
	}
	type shadowing struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		inner
	}
	types := store.NewTypes(map[string]any{"shadowing": shadowing{}})
	v := shadowing{ID: "1", Name: "a firm", inner: inner{Town: "Rome"}}
	encoded, err := types.Encode(store.JSON, v)
	if err != nil || len(encoded.Personal) != 1 || encoded.Personal[0].Path != "town" {
		t.Errorf("%s: personal are %v, %v, want the town", encoded.Data, encoded.Personal, err)
	}
}

func TestWithoutPersonal(t *testing.T) {
	t.Parallel()
	type openV1 struct {
		Owner string `json:"owner"`
		Name  string `json:"full_name" personal:"owner"`
		Cents int    `json:"cents"`
	}
	type open struct {
		Owner string   `json:"owner"`
		Names []string `json:"names" personal:"owner"`
		Cents int      `json:"cents"`
	}
	types := store.NewTypes(map[string]any{"open": open{}, "opened": opened{}},
		store.Upcast("open", 1, func(o openV1) open { return open{Owner: o.Owner, Cents: o.Cents} }))
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		hash := func(schema int, v any) string {
			body, err := codec.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(types.WithoutPersonal(codec, "open", schema, body))
		}
		ann, bob := hash(2, open{"1", []string{"Ann"}, 5}), hash(0, open{"1", []string{"Bob", "Bo"}, 5})
		if ann != bob || strings.Contains(ann, "Ann") || !strings.Contains(ann, "cents") {
			t.Errorf("%s: without names it is %q, and %q", codec.Name(), ann, bob)
		}
		if other := hash(2, open{"1", []string{"Ann"}, 6}); other == ann {
			t.Errorf("%s: 5 and 6 are the same: %q", codec.Name(), other)
		}
		old := hash(1, openV1{"1", "Ann", 5})
		if old != hash(1, openV1{"1", "Bob", 5}) || strings.Contains(old, "Ann") {
			t.Errorf("%s: in the old schema without names it is %q", codec.Name(), old)
		}
		for _, body := range []string{"", "\xff", "{", "[]", "7"} {
			if got := types.WithoutPersonal(codec, "open", 0, []byte(body)); string(got) != body {
				t.Errorf("%s: %q became %q", codec.Name(), body, got)
			}
		}
		plain := []byte(`{"owner":"ann"}`)
		for _, name := range []string{"opened", "closed"} {
			if got := types.WithoutPersonal(codec, name, 0, plain); &got[0] != &plain[0] {
				t.Errorf("%s: %q of %s became %q", codec.Name(), plain, name, got)
			}
		}
	}
	if got := types.WithoutPersonal(store.JSON, "open", 0, []byte(`{ "NAMES" : ["Ann"], "\u006eames": null, "cents":5}`)); strings.Contains(string(got), "Ann") {
		t.Errorf("names in capitals are kept: %q", got)
	}
}
