package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

// shaped has every kind that is checked.
type shaped struct {
	I8     int8              `json:"a"`
	I16    int16             `json:"b"`
	I32    cents             `json:"c"`
	I64    int               `json:"d"`
	U8     uint8             `json:"e"`
	U16    uint16            `json:"f"`
	U32    uint32            `json:"g"`
	U64    uint64            `json:"h"`
	F32    float32           `json:"i"`
	F64    float64           `json:"j"`
	Text   string            `json:"k"`
	Bytes  []byte            `json:"l"`
	Open   bool              `json:"m"`
	List   []int16           `json:"n"`
	Array  [2]uint16         `json:"o"`
	Texts  []string          `json:"p"`
	ByText map[string]int8   `json:"q"`
	ByInt  map[int8]uint32   `json:"r"`
	Labels map[string]string `json:"s"`
	Inner  *shaped           `json:"t"`
	Inners []shaped          `json:"u"`
	Any    any               `json:"v"`
	At     time.Time         `json:"w"`
	Took   time.Duration     `json:"x"`
	Within
}

type Within struct {
	Y int8 `json:"y"`
	Z int8 `json:"z"`
}

// FuzzShape compares the check with what the library makes of the same bytes
// for the Go type, and without one, where it keeps every number as it is. What
// passes the check agrees with that; what does not, does not.
func FuzzShape(f *testing.F) {
	full, err := store.MsgPack.Marshal(shaped{
		I8: -128, U64: 1<<64 - 1, I64: -1 << 63, F32: 1.5, F64: 0.1, Text: "é", Bytes: []byte{255}, Open: true, List: []int16{-1, 300}, Array: [2]uint16{1, 2},
		Texts: []string{"a"}, ByText: map[string]int8{"a": 1}, ByInt: map[int8]uint32{-1: 1}, Labels: map[string]string{"a": "b"},
		Inner: &shaped{I8: 1}, Inners: []shaped{{U8: 255}}, Any: []any{int8(1), "a"}, At: time.Unix(1, 0), Took: time.Hour, Within: Within{Y: 1, Z: 2},
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(full), "\xc0", "\x90", "\x81\xa1a\xcd\x01\x02", "\x81\xa1h\xff", "\x81\xa1d\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\xa1y\xcc\xff",
		"\x81\xa1j\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x81\xa1k\xc4\x01\xff", "\x81\xa1n\x91\xd2\x00\x01\x00\x00", "\x81\xa1r\x81\xcc\x80\x01",
		"\x81\xa1t\x81\xa1a\xcc\x80", "\x81\xa1u\x92\xc0\x81\xa1e\xd0\xff", "\x81\xa1z\x81\xa1z\x92\x01\x80", "\x81\x01\x01", "\x81\xa1q\xd6\xff\x81\xa1a\x01",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if store.GuardMsgPack(data) != nil || bytes.Contains(data, []byte("Within")) {
			return // by its own name an embedded struct competes with its fields
		}
		var want any
		if err := plainly(data, &want); err != nil {
			return // a time where there is none in Go
		}
		unfit := store.FitsMsgPack(data, new(shaped))
		var got, checked shaped
		failed := plainly(data, &got)
		same := failed == nil && agrees(want, reflect.ValueOf(got))
		switch {
		case unfit == nil && failed == nil && !same:
			t.Fatalf("%x passes, and %v becomes %+v", data, want, got)
		case unfit != nil && same:
			t.Fatalf("%x does not pass for %v, and %v becomes %+v", data, unfit, want, got)
		}
		err := store.MsgPack.Unmarshal(data, &checked, false)
		if (err == nil) != (unfit == nil && failed == nil) || err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%x: %v, when the check says %v and the library %v", data, err, unfit, failed)
		}
		if err != nil {
			return
		}
		again, err := store.MsgPack.Marshal(checked)
		if err == nil {
			err = store.MsgPack.Unmarshal(again, new(shaped), true)
		}
		if err != nil && !errors.Is(err, store.ErrTooLarge) { // for it writes more fields than were there
			t.Fatalf("%x cannot be written and read again: %v", data, err)
		}
	})
}

// plainly decodes without any check. Maps into an interface may have any keys.
func plainly(data []byte, v any) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	d := msgpack.NewDecoder(bytes.NewReader(data))
	d.SetCustomStructTag("json")
	if _, isAny := v.(*any); isAny {
		d.SetMapDecoder(entriesOf)
	}
	return d.Decode(v)
}

// entriesOf decodes a map with its keys as text.
func entriesOf(d *msgpack.Decoder) (any, error) {
	n, err := d.DecodeMapLen()
	entries := make(map[string]any, max(0, n))
	for range n {
		key, err := d.DecodeInterface()
		if err != nil {
			return nil, err
		}
		if text, ok := key.([]byte); ok {
			key = string(text)
		}
		if entries[fmt.Sprint(key)], err = d.DecodeInterface(); err != nil {
			return nil, err
		}
	}
	return entries, err
}

// agrees reports whether got is what was on the wire.
func agrees(want any, got reflect.Value) bool {
	if want == nil {
		return got.IsZero()
	}
	switch got.Kind() {
	case reflect.Pointer:
		return agrees(want, got.Elem())
	case reflect.Slice, reflect.Array:
		return agreesList(want, got)
	case reflect.Map:
		return agreesMap(want, got)
	case reflect.Struct:
		return agreesStruct(want, got)
	case reflect.Interface:
		return true
	case reflect.String:
		data, isBytes := want.([]byte)
		return want == got.String() || isBytes && utf8.Valid(data) && string(data) == got.String()
	case reflect.Bool:
		return want == got.Bool()
	}
	return agreesNumber(reflect.ValueOf(want), got)
}

func agreesNumber(want, got reflect.Value) bool {
	switch {
	case got.CanFloat() && want.CanFloat():
		return want.Float() == got.Float() || want.Float() != want.Float()
	case got.Kind() == reflect.Float32:
		nearest, _ := new(big.Float).SetInt(integerOf(want)).Float32()
		return float32(got.Float()) == nearest
	case got.CanFloat():
		nearest, _ := new(big.Float).SetInt(integerOf(want)).Float64()
		return got.Float() == nearest
	}
	return (want.CanInt() || want.CanUint()) && integerOf(want).Cmp(integerOf(got)) == 0
}

func agreesList(want any, got reflect.Value) bool {
	if got.Type().Elem().Kind() == reflect.Uint8 {
		text, isText := want.(string)
		data, isBytes := want.([]byte)
		return isText && text == string(got.Bytes()) || isBytes && bytes.Equal(data, got.Bytes())
	}
	list, ok := want.([]any)
	if !ok || len(list) > got.Len() || got.Kind() == reflect.Slice && len(list) != got.Len() {
		return false
	}
	for i := range list {
		if !agrees(list[i], got.Index(i)) {
			return false
		}
	}
	return true
}

func agreesMap(want any, got reflect.Value) bool {
	entries, ok := want.(map[string]any)
	if !ok || len(entries) != got.Len() {
		return false
	}
	for each := got.MapRange(); each.Next(); {
		entry, ok := entries[fmt.Sprint(each.Key())]
		if !ok || !agrees(entry, each.Value()) {
			return false
		}
	}
	return true
}

func agreesStruct(want any, got reflect.Value) bool {
	if at, ok := got.Interface().(time.Time); ok {
		return at.Equal(want.(time.Time))
	}
	entries, ok := want.(map[string]any)
	if !ok {
		return false
	}
	for i := range got.NumField() {
		field := got.Type().Field(i)
		entry, there := entries[field.Tag.Get("json")]
		if field.Anonymous {
			entry, there = want, true
		}
		if there && !agrees(entry, got.Field(i)) {
			return false
		}
	}
	return true
}
