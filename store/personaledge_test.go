package store_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// The form of sealed values on the wire is kept for as long as there are logs.
func TestSealedGolden(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs {
		data, err := codec.Marshal([]any{1, "before", "sealed", "after"})
		if err != nil {
			t.Fatal(err)
		}
		whole := data
		for _, size := range []int{1, 255, 256} { // at each of which the head changes, in msgpack
			envelope := bytes.Repeat([]byte{0xab}, size)
			whole = append(whole, store.SealedForm(codec, envelope)...)
		}
		plain, err := store.ReplaceSpans(codec, data, placesOf(t, codec, data, "sealed"), func(int, []byte) ([]byte, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "sealed."+codec.Name(), append(whole, plain...), codec != store.JSON)
	}
	long := store.SealedForm(store.MsgPack, make([]byte, 1<<16))
	if want := []byte{0xc9, 0, 1, 0, 0, 0x50}; !bytes.HasPrefix(long, want) {
		t.Errorf("a long one begins with % x, want % x", long[:6], want)
	}
	if plain, _, _, err := store.OpenSealed(store.MsgPack, long, openerOfSize(1<<16)); err != nil || string(plain) != "\xc0" {
		t.Errorf("a long one became %x, %v", plain, err)
	}
}

// openerOfSize wants envelopes of a size.
func openerOfSize(size int) func(string, []byte) ([]byte, store.Personal, error) {
	return func(_ string, envelope []byte) ([]byte, store.Personal, error) {
		if len(envelope) != size {
			return nil, store.Personal{}, errors.New("another size")
		}
		return []byte{0xc0}, store.Personal{}, nil
	}
}

type crowd struct {
	Of    string   `json:"of"`
	Names []string `json:"names" personal:"of"`
	One   string   `json:"one" personal:"@id"`
	Deep  any      `json:"deep"`
}

// What is encoded can be sealed, and marked when it is forgotten, within all limits.
func TestPersonalLeavesRoom(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]any{"crowd": crowd{}})
	for _, codec := range codecs {
		largest := 0
		for n := store.MaxNodes - 24; n <= store.MaxNodes; n++ {
			v := crowd{Of: "1", One: "x", Deep: make([]int, n)}
			encoded, err := types.Encode(codec, v)
			if errors.Is(err, store.ErrTooLarge) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			largest = n
			for _, gone := range [][]string{nil, {"one"}} {
				plain, _, _, err := store.OpenSealed(codec, seal(t, codec, encoded.Data, encoded.Personal), opener(gone...))
				if err != nil || codec.Unmarshal(plain, new(crowd), false) != nil {
					t.Fatalf("%s: of %d values %q gone: %v", codec.Name(), n, gone, err)
				}
			}
		}
		if largest == 0 {
			t.Errorf("%s: not even %d values can be encoded", codec.Name(), store.MaxNodes-24)
		}
	}
	deep := any("x")
	for range store.MaxDepth - 1 {
		deep = []any{deep}
	}
	if _, err := types.Encode(store.JSON, crowd{One: "x", Deep: deep}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("as deep as can be: %v, want it invalid, for a sealed value is deeper in JSON", err)
	}
}

// What is raised to a later schema is about the same persons, under the same keys.
func TestUpcastKeepsKeys(t *testing.T) {
	t.Parallel()
	type moved struct {
		Who   string         `json:"who"`
		First string         `json:"first" personal:"who"`
		Last  string         `json:"last" personal:"who"`
		Note  string         `json:"note" personal:"@id"`
		Gone  store.Shredded `json:"-"`
	}
	type movedV1 struct {
		Who  string         `json:"who"`
		Name string         `json:"name" personal:"who"`
		Note string         `json:"note" personal:"@id"`
		Gone store.Shredded `json:"-"`
	}
	types := store.NewTypes(map[string]any{"moved": moved{}}, store.Upcast("moved", 1, func(m movedV1) moved {
		first, last, _ := strings.Cut(m.Name, " ")
		return moved{Who: m.Who, First: first, Last: last, Note: m.Note, Gone: m.Gone}
	}))
	before := store.NewTypes(map[string]any{"moved": movedV1{}})
	for _, codec := range codecs {
		encoded, err := before.Encode(codec, movedV1{Who: "1", Name: "Ann Lee", Note: "n"})
		if err != nil {
			t.Fatal(err)
		}
		e := encoded.Event(3)
		e.Personal[0].Key, e.Personal[1].Key = store.KeyID{1}, store.KeyID{2}
		raised, err := types.Upcast(nil, codec, e)
		if err != nil || len(raised) != 1 || raised[0].Schema != 2 || raised[0].Command != 3 {
			t.Fatalf("%s: it is raised to %+v, %v", codec.Name(), raised, err)
		}
		var keys []string
		for _, p := range raised[0].Personal {
			keys = append(keys, p.Path+" "+p.Key.String()[:2])
		}
		if want := []string{"first 01", "last 01", "note 02"}; !slices.Equal(keys, want) {
			t.Errorf("%s: the keys are %q, want %q", codec.Name(), keys, want)
		}
		same, err := types.Upcast(nil, codec, raised[0])
		if err != nil || !reflect.DeepEqual(same, raised) {
			t.Errorf("%s: what is of today became %+v, %v", codec.Name(), same, err)
		}
	}
}

type pairOf struct {
	Mine  string `json:"mine" personal:"one"`
	Yours string `json:"yours" personal:"other"`
}

type manyPairs struct {
	Pairs []pairOf `json:"pairs"`
	One   string   `json:"one"`
	Other string   `json:"other"`
}

// Whose the values are may stand behind all of them, and is looked for once.
func TestSubjectsBehindManyValues(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]any{"paired": manyPairs{}})
	v := manyPairs{Pairs: make([]pairOf, 3000), One: "ann", Other: "bob"}
	for _, codec := range codecs {
		encoded, err := types.Encode(codec, v)
		if err != nil || len(encoded.Personal) != 2*len(v.Pairs) {
			t.Fatalf("%s: %d spans, %v", codec.Name(), len(encoded.Personal), err)
		}
		for i, p := range encoded.Personal {
			if want := []string{"ann", "bob"}[i%2]; p.Subject != want {
				t.Fatalf("%s: %s is of %q, want %q", codec.Name(), p.Path, p.Subject, want)
			}
		}
	}
}
