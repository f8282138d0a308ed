package store_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/annals-go/annals/store"
)

// forget seals what is personal in v, and opens it without the given paths; nil: all.
func forget(t *testing.T, codec store.Codec, v any, forgotten []string) (plain []byte, shredded []string) {
	t.Helper()
	encoded, err := hiredTypes().Encode(codec, v)
	if err != nil {
		t.Fatal(err)
	}
	if forgotten == nil {
		for _, p := range encoded.Personal {
			forgotten = append(forgotten, p.Path)
		}
	}
	plain, _, shredded, err = store.OpenSealed(codec, seal(t, codec, encoded.Data, encoded.Personal), opener(forgotten...))
	if err != nil || !slices.Equal(shredded, forgotten) {
		t.Fatalf("%s: gone are %q, %v, want %q", codec.Name(), shredded, err, forgotten)
	}
	return plain, shredded
}

// bare is what is left of fullHired when all of it is forgotten.
func bare() hired {
	v := fullHired()
	v.Mail, v.Note, v.Born, v.Pay, v.Agent, v.Place.Street = "", nil, hired{}.Born, nil, "", ""
	v.Person.Name, v.Person.Tags, v.Person.Inner.Known = "", nil, ""
	v.Others = []*hiredPerson{{ID: "p-2"}, nil, {ID: "p-3"}}
	v.ByRole = map[string]duty{"a b": {Of: "p-2"}, "lead": {Of: "p-1"}}
	return v
}

func TestShreddedAll(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		plain, shredded := forget(t, codec, fullHired(), nil)
		if got := store.ShreddedIn(codec, plain); !slices.Equal(got, shredded) {
			t.Errorf("%s: the data say that gone are %q, want %q", codec.Name(), got, shredded)
		}
		v, err := hiredTypes().Decode(codec, "hired", 1, plain)
		if err != nil {
			t.Fatal(err)
		}
		got := v.(hired)
		if !slices.Equal(got.Gone.Paths(), shredded) || !got.Gone.Any() || !got.Gone.Has("person.name") || got.Gone.Has("person") {
			t.Errorf("%s: the value says that gone are %q, want %q", codec.Name(), got.Gone.Paths(), shredded)
		}
		again, err := hiredTypes().Encode(codec, got)
		if err != nil || !slices.Equal(store.ShreddedIn(codec, again.Data), shredded) {
			t.Errorf("%s: encoded again it says %q, %v", codec.Name(), store.ShreddedIn(codec, again.Data), err)
		}
		got.Gone = store.Shredded{}
		if !reflect.DeepEqual(got, bare()) {
			t.Errorf("%s: what is left is\n%+v, want\n%+v", codec.Name(), got, bare())
		}
		if _, err := hiredTypes().DecodeStrict(codec, "hired", 0, plain); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: a command that says what is forgotten: %v, want it invalid", codec.Name(), err)
		}
	}
}

// Each of the values may go by itself: nothing else changes.
func TestShreddedEach(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		all, err := hiredTypes().Encode(codec, fullHired())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all.Personal {
			plain, _ := forget(t, codec, fullHired(), []string{p.Path})
			v, err := hiredTypes().Decode(codec, "hired", 1, plain)
			if err != nil {
				t.Fatalf("%s: without %s: %v", codec.Name(), p.Path, err)
			}
			rest, err := hiredTypes().Encode(codec, v)
			got, want := pathsBut(p.Path, rest.Personal), pathsBut(p.Path, all.Personal)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: without %s personal are %q, %v, want %q", codec.Name(), p.Path, got, err, want)
			}
		}
	}
}

// pathsBut returns the paths of spans, sorted, but for one: a zero value has it still.
func pathsBut(gone string, spans []store.Personal) (paths []string) {
	for _, p := range spans {
		if p.Path != gone {
			paths = append(paths, p.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Who forgets twice keeps the first list.
func TestShreddedTwice(t *testing.T) {
	t.Parallel()
	types := hiredTypes()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		once, _ := forget(t, codec, fullHired(), []string{"mail"})
		v, err := types.Decode(codec, "hired", 1, once)
		if err != nil {
			t.Fatal(err)
		}
		twice, _ := forget(t, codec, v, []string{"born", "agent"})
		if got := store.ShreddedIn(codec, twice); !slices.Equal(got, []string{"agent", "born", "mail"}) {
			t.Errorf("%s: gone are %q", codec.Name(), got)
		}
		if _, err := types.Decode(codec, "hired", 1, twice); err != nil {
			t.Errorf("%s: %v", codec.Name(), err)
		}
	}
}

// The places around what is taken out, in JSON with its commas and white space.
func TestOpenSealedCuts(t *testing.T) {
	t.Parallel()
	s := string(store.SealedForm(store.JSON, []byte("~1")))
	for data, want := range map[string]string{
		`{"a":` + s + `}`:                                         `{"annals:shredded":["a"]}`,
		`{ "a" : ` + s + ` , "b" : 2 }`:                           `{ "b" : 2 ,"annals:shredded":["a"]}`,
		`{"a":1,"b":` + s + `,"c":` + s + `}`:                     `{"a":1,"annals:shredded":["b","c"]}`,
		`{"a":` + s + `,"b":` + s + `,"c":3}`:                     `{"c":3,"annals:shredded":["a","b"]}`,
		`{"a":` + s + `,"b":2,"c":` + s + `,"d":4}`:               `{"b":2,"d":4,"annals:shredded":["a","c"]}`,
		`{"a":{"b":` + s + `},"l":[1,` + s + `,{"x":` + s + `}]}`: `{"a":{},"l":[1,null,{}],"annals:shredded":["a.b","l[1]","l[2].x"]}`,
		`{"annals:shredded":["z","b"],"b":` + s + `}`:             `{"annals:shredded":["b","z"]}`,
		`{"annals:shredded":7,"b":` + s + `}`:                     `{"annals:shredded":["b"]}`,
		s:                                                         `null`,
		`[` + s + `]`:                                             `[null]`,
	} {
		got, _, _, err := store.OpenSealed(store.JSON, []byte(data), func(string, []byte) ([]byte, store.Personal, error) { return nil, store.Personal{}, nil })
		if err != nil || string(got) != want {
			t.Errorf("%s became\n%s, %v, want\n%s", data, got, err, want)
		}
	}
}

func TestOpenSealedRefuses(t *testing.T) {
	t.Parallel()
	failure := errors.New("no key")
	sealed := store.SealedForm(store.MsgPack, []byte("~x"))
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		data := store.SealedForm(codec, []byte("?"))
		if _, _, _, err := store.OpenSealed(codec, data, func(string, []byte) ([]byte, store.Personal, error) { return nil, store.Personal{}, failure }); err != failure { //nolint:errorlint // as it is
			t.Errorf("%s: %v, want the error of open", codec.Name(), err)
		}
	}
	for _, data := range []string{
		`{"annals:sealed":7}`, `{"annals:sealed":"!"}`, `{"annals:sealed":"AAAA","b":1}`, `{"annals:sealed":"AAAA"`, `{"a":{"annals:sealed":"AA`,
		`{"annals:sealed":"AAB="}`, `{"annals:sealed":"AAAA"} x`,
	} {
		got, _, _, err := store.OpenSealed(store.JSON, []byte(data), opener())
		if err == nil && !bytes.Equal(got, []byte(data)) {
			t.Errorf("%s became %s", data, got)
		}
	}
	for name, data := range map[string][]byte{
		"cut off": sealed[:len(sealed)-1], "two": append(bytes.Clone(sealed), 0xc0), "as a key": append(append([]byte{0x81}, sealed...), 0xc0),
		"another extension": {0xc7, 1, 0x51, sealed[2]},
	} {
		if got, _, _, err := store.OpenSealed(store.MsgPack, data, opener()); err == nil && store.HoldsSealed(store.MsgPack, data) {
			t.Errorf("%s: %x became %x", name, data, got)
		}
	}
}

func TestReplaceSpansRefuses(t *testing.T) {
	t.Parallel()
	same := func(_ int, value []byte) ([]byte, error) { return value, nil }
	for _, spans := range [][]store.Personal{
		{{Start: -1, End: 1}}, {{Start: 1, End: 1}}, {{Start: 2, End: 1}}, {{Start: 0, End: 9}}, {{Start: 1, End: 3}, {Start: 2, End: 4}}, {{Start: 3, End: 4}, {Start: 1, End: 2}},
	} {
		if got, err := store.ReplaceSpans(store.JSON, []byte(`"12345"`), spans, same); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: %q, %v, want them invalid", spans, got, err)
		}
	}
}

// In msgpack the place of a value says nothing to who reads: what stands in the place of half a
// value, or of two, would be read as something else.
func TestReplaceSpansTakesValuesOnly(t *testing.T) {
	t.Parallel()
	data, err := store.MsgPack.Marshal(map[string]any{"list": []any{"one", "two", map[string]any{"deep": "three"}}})
	if err != nil {
		t.Fatal(err)
	}
	place := func(text string) store.Personal { // a short text has one byte before it
		at := bytes.Index(data, []byte(text))
		return store.Personal{Path: text, Start: at - 1, End: at + len(text)}
	}
	one, two, three := place("one"), place("two"), place("three")
	whole := store.Personal{Start: 0, End: len(data)}
	seal := func(int, []byte) ([]byte, error) { return store.SealedForm(store.MsgPack, []byte{1, 2, 3}), nil }
	for _, spans := range [][]store.Personal{{one}, {two, three}, {one, two, three}, {whole}} {
		sealed, err := store.ReplaceSpans(store.MsgPack, data, spans, seal)
		if err != nil || !store.HoldsSealed(store.MsgPack, sealed) {
			t.Errorf("%v: %x, %v", spans, sealed, err)
		}
	}
	both, half, name, late := one, two, place("deep"), whole
	both.End, half.Start, late.Start = two.End, two.Start+1, len(data)-1
	for _, spans := range [][]store.Personal{{both}, {half}, {name}, {late}, {one, half}, {half, three}, {both, three}} {
		if got, err := store.ReplaceSpans(store.MsgPack, data, spans, seal); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: %x, %v, want them invalid", spans, got, err)
		}
	}
}

// A value that is sealed again may be gone by then.
func TestReplaceSpansLeavesOut(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		encoded, err := hiredTypes().Encode(codec, fullHired())
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := store.ReplaceSpans(codec, encoded.Data, encoded.Personal, func(i int, value []byte) ([]byte, error) {
			if encoded.Personal[i].Path == "person.name" {
				return nil, nil
			}
			return store.SealedForm(codec, append([]byte("~"), value...)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		plain, personal, shredded, err := store.OpenSealed(codec, sealed, opener())
		var got hired
		want := fullHired()
		want.Person.Name = ""
		if err := codec.Unmarshal(plain, &got, false); err != nil || !slices.Equal(got.Gone.Paths(), []string{"person.name"}) {
			t.Errorf("%s: gone are %q, %v", codec.Name(), got.Gone.Paths(), err)
		}
		got.Gone = store.Shredded{}
		if err != nil || !reflect.DeepEqual(got, want) || len(personal) != len(encoded.Personal)-1 || len(shredded) != 0 {
			t.Errorf("%s: it became %+v, %v, want %+v", codec.Name(), got, err, want)
		}
	}
}
