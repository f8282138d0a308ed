package store_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

type Plain struct {
	X int8 `json:"x"`
	Y int8
}

type Second struct {
	X int8 `msgpack:"x"`
	Z int8 `json:"z,omitempty"`
}

type Layers struct {
	Plain
	W int8
}

// Texted is not taken in when it is embedded, for it has a way to be written.
type Texted struct {
	T int8 `json:"t"`
}

func (Texted) MarshalText() ([]byte, error) { return nil, nil }

type hidden struct {
	H int8 `json:"h"`
}

type ownText struct{ Texted }

func (ownText) MarshalText() ([]byte, error) { return nil, nil }

// The check has to know every name that the library decodes, or numbers under
// it would go unchecked, and no other, or it would refuse what is passed over.
func TestShapeKnowsTheNamesThatTheLibraryKnows(t *testing.T) {
	t.Parallel()
	type keptApart struct {
		Plain `json:"kept,noinline"` //nolint:staticcheck // an option of the library, not of encoding/json
		V     int8
	}
	names := strings.Fields("x y z X Y Z V W T t a b c Plain Second Layers Texted kept p q s h hidden - first other third name 'quoted' quoted")
	for _, of := range []any{
		struct{ hidden }{},
		struct{ V hidden }{},
		Plain{},
		Second{},
		Layers{},
		keptApart{},
		ownText{},
		struct{ Plain }{},
		struct{ *Plain }{},
		struct {
			Layers
			V int8
		}{},
		struct {
			Plain `json:"p"`
			V     int8 `json:"x"`
		}{},
		struct {
			V     int8 `json:"x"`
			Plain `json:"p"`
		}{},
		struct {
			V     int8 `msgpack:"x"`
			Plain `msgpack:"p,inline"`
		}{},
		struct {
			Plain
			Second
		}{},
		struct {
			V     int16 `msgpack:"x"`
			Plain `msgpack:"p,inline"`
		}{},
		struct {
			V int16 `msgpack:"x"`
			Plain
		}{},
		struct {
			V int8  `msgpack:"x"`
			W int16 `json:"x"`
		}{},
		struct {
			V int16 `msgpack:"x"`
			W int8  `json:"x"`
		}{},
		struct {
			_msgpack struct{} `msgpack:",as_array"`
			V        int16    `msgpack:"x"`
			W        int8     `json:"x"`
		}{},
		struct {
			Texted `msgpack:",inline"`
			V      int8
		}{},
		struct {
			Texted
			V int8
		}{},
		struct {
			V int8 `json:"a" msgpack:"b"`
			W int8 `json:"c,omitempty" msgpack:""`
			X int8 `json:"-"`
			Y int8 `json:"-,"` //nolint:staticcheck // the two mean different things by it
			Z int8 `msgpack:",omitempty" json:"z"`
		}{},
		struct {
			V int8 `msgpack:"first,alias:other"`
			W int8 `json:"third,string"`
			X int8 `json:"'quoted'"`
			Y int8 `json:"name:s"`
			Z int8 `json:" q"`
		}{},
	} {
		compareNames(t, reflect.TypeOf(of), names)
	}
}

// compareNames tries each name, alone and inside others. Exactly where
// the library makes 2 of 258 the check has to refuse it.
func compareNames(t *testing.T, goType reflect.Type, names []string) {
	t.Helper()
	for _, name := range names {
		for _, path := range [][]string{{name}, {name, "x"}, {name, "Plain", "Y"}, {name, "t"}} {
			two, known := decodesStrictly(fields(path, 2), goType)
			cut, _ := decodesStrictly(fields(path, 258), goType)
			err := store.FitsMsgPack(fields(path, 258), reflect.New(goType).Interface())
			var invalid *store.InvalidError
			refused := errors.As(err, &invalid) && invalid.Value == "258" && strings.Contains(invalid.Reason, "an integer")
			if want := known && reflect.DeepEqual(two, cut); refused != want {
				t.Errorf("%v %v: the library knows it: %v, and makes %+v of 258; the check says: %v", goType, path, known, cut, err)
			}
		}
	}
}

func fields(path []string, n uint16) []byte {
	data := string([]byte{0xcd, byte(n >> 8), byte(n)})
	for _, name := range slices.Backward(path) {
		data = "\x81" + string([]byte{0xa0 | byte(len(name))}) + name + data
	}
	return []byte(data)
}

func decodesStrictly(data []byte, goType reflect.Type) (any, bool) {
	d := msgpack.NewDecoder(strings.NewReader(string(data)))
	d.SetCustomStructTag("json")
	d.DisallowUnknownFields(true)
	v := reflect.New(goType)
	err := d.Decode(v.Interface())
	return v.Interface(), err == nil
}
