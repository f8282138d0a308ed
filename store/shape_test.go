package store_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

type cents int64

// place is somewhere that a value of a type can be.
type place struct {
	name  string
	typ   func(reflect.Type) reflect.Type
	data  func(item string) string
	field string // how an error names it; # is the item
	get   func(reflect.Value) reflect.Value
}

func places() []place {
	text := reflect.TypeFor[string]()
	return []place{
		{
			"itself", func(t reflect.Type) reflect.Type { return t },
			func(item string) string { return item }, "value",
			func(v reflect.Value) reflect.Value { return v },
		},
		{
			"behind pointers", func(t reflect.Type) reflect.Type { return reflect.PointerTo(reflect.PointerTo(t)) },
			func(item string) string { return item }, "value",
			func(v reflect.Value) reflect.Value { return v.Elem().Elem() },
		},
		{
			"field", func(t reflect.Type) reflect.Type {
				return reflect.StructOf([]reflect.StructField{{Name: "V", Type: t, Tag: `json:"v"`}})
			}, func(item string) string { return "\x81\xa1v" + item }, "field v",
			func(v reflect.Value) reflect.Value { return v.Field(0) },
		},
		{
			"element", func(t reflect.Type) reflect.Type { return reflect.SliceOf(reflect.PointerTo(t)) },
			func(item string) string { return "\x92\xc0" + item }, "field [1]",
			func(v reflect.Value) reflect.Value { return v.Index(1).Elem() },
		},
		{
			"element of an array", func(t reflect.Type) reflect.Type { return reflect.ArrayOf(2, reflect.PointerTo(t)) },
			func(item string) string { return "\xdd\x00\x00\x00\x02\xc0" + item }, "field [1]",
			func(v reflect.Value) reflect.Value { return v.Index(1).Elem() },
		},
		{
			"entry", func(t reflect.Type) reflect.Type { return reflect.MapOf(text, t) },
			func(item string) string { return "\xde\x00\x01\xa1k" + item }, `field ["k"]`,
			func(v reflect.Value) reflect.Value { return v.MapIndex(reflect.ValueOf("k")) },
		},
		{
			"key", func(t reflect.Type) reflect.Type { return reflect.MapOf(t, text) },
			func(item string) string { return "\x81" + item + "\xa1v" }, "field [#]",
			func(v reflect.Value) reflect.Value { return v.MapKeys()[0] },
		},
	}
}

// encodings are all the ways to write n.
func encodings(n *big.Int) (all []string) {
	fits := func(width uint, signed bool) bool {
		if signed {
			half := new(big.Int).Lsh(big.NewInt(1), width-1)
			return n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0
		}
		return n.Sign() >= 0 && n.BitLen() <= int(width)
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).FillBytes(make([]byte, 8))
	for i, width := range []uint{8, 16, 32, 64} {
		if fits(width, false) {
			all = append(all, string([]byte{0xcc + byte(i)})+string(low[8-width/8:]))
		}
		if fits(width, true) {
			all = append(all, string([]byte{0xd0 + byte(i)})+string(low[8-width/8:]))
		}
	}
	if fits(8, true) && n.Int64() >= -32 {
		all = append(all, string([]byte{byte(n.Int64())}))
	}
	return all
}

// decode reads data both strictly and leniently, which makes no difference.
func decode(t *testing.T, data string, into reflect.Type) (reflect.Value, error) {
	t.Helper()
	strict, lenient := reflect.New(into), reflect.New(into)
	err := store.MsgPack.Unmarshal([]byte(data), strict.Interface(), true)
	again := store.MsgPack.Unmarshal([]byte(data), lenient.Interface(), false)
	if (err == nil) != (again == nil) {
		t.Errorf("%x into %v: strictly %v, leniently %v", data, into, err, again)
	}
	return strict.Elem(), err
}

func TestShapeOfIntegers(t *testing.T) {
	t.Parallel()
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	below := func(n *big.Int) *big.Int { return new(big.Int).Sub(n, big.NewInt(1)) }
	for _, of := range []any{
		int(0), int8(0), int16(0), int32(0), int64(0), time.Duration(0), cents(0),
		uint(0), uint8(0), uint16(0), uint32(0), uint64(0), store.Position(0),
	} {
		goType := reflect.TypeOf(of)
		least, most := new(big.Int), below(power(uint(goType.Bits())))
		if goType.Kind() <= reflect.Int64 {
			least, most = new(big.Int).Neg(power(uint(goType.Bits()-1))), below(power(uint(goType.Bits()-1)))
		}
		numbers := []*big.Int{
			least, most, below(least), below(below(most)), new(big.Int).Add(most, big.NewInt(1)), big.NewInt(-1), new(big.Int), big.NewInt(258),
			big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64), power(63), below(power(64)), big.NewInt(-32), big.NewInt(-33), big.NewInt(127),
		}
		for _, p := range places() {
			for _, n := range numbers {
				for _, encoded := range encodings(n) {
					fits := n.Cmp(least) >= 0 && n.Cmp(most) <= 0
					checkInteger(t, p, goType, n, encoded, fits)
				}
			}
		}
	}
}

func checkInteger(t *testing.T, p place, goType reflect.Type, n *big.Int, encoded string, fits bool) {
	t.Helper()
	got, err := decode(t, p.data(encoded), p.typ(goType))
	if fits {
		if err != nil || integerOf(p.get(got)).Cmp(n) != 0 {
			t.Errorf("%v as %x, %s %v: %v, %v", n, encoded, goType, p.name, got, err)
		}
		return
	}
	var invalid *store.InvalidError
	want := strings.ReplaceAll(p.field, "#", n.String())
	if !errors.As(err, &invalid) || invalid.What != want || invalid.Value != n.String() {
		t.Errorf("%v as %x, %s %v: %v, %v, want it refused for %s", n, encoded, goType, p.name, got, err, want)
	}
}

func integerOf(v reflect.Value) *big.Int {
	if v.CanInt() {
		return big.NewInt(v.Int())
	}
	return new(big.Int).SetUint64(v.Uint())
}

type Base struct {
	Small int8 `json:"small"`
}

type Shadowed struct {
	Count int8 `json:"count"`
	Inner int8 `json:"inner"`
}

type Pointed struct {
	Deep int8 `json:"deep"`
}

// order has embedded structs: one whose fields are taken in, one behind a
// pointer, one that would shadow, one that stays apart.
type order struct {
	Base
	*Pointed
	Count    int `json:"count"`
	Shadowed `json:"apart"`
	Named    Base              `json:"named"`
	Lines    []line            `json:"lines"`
	ByName   map[string]*order `json:"by_name"`
	Notes    map[string]any    `json:"notes"`
	Labels   map[string]string `json:"labels"`
	Ranks    map[int16]bool    `json:"ranks"`
	Tags     []string          `json:"tags"`
	Text     string            `json:"text"`
	Raw      []byte            `json:"raw"`
	Hash     [4]byte           `json:"hash"`
	Ratio    float64           `json:"ratio"`
	Rate     float32           `json:"rate"`
	Open     bool              `json:"open"`
	At       time.Time         `json:"at"`
	Any      any               `json:"any"`
	JSON     json.RawMessage   `json:"json"`
	Own      ownDecoder        `json:"own"`
	Price    *big.Float        `json:"price"`
	Message  msgpack.RawMessage
	Renamed  int8 `msgpack:"other,alias:second" json:"renamed"`
	Hidden   int8 `json:"-"`
}

type line struct {
	Number int8 `json:"number"`
}

// ownDecoder decodes itself, from anything.
type ownDecoder struct{ N int8 }

func (o *ownDecoder) DecodeMsgpack(d *msgpack.Decoder) error {
	n, err := d.DecodeInt64()
	o.N = int8(n >> 8)
	return err
}

func TestShapeRefuses(t *testing.T) {
	t.Parallel()
	const large = "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
	for name, c := range map[string]struct{ data, what, value string }{
		"field of an embedded struct":      {"\x81\xa5small\xcd\x01\x02", "field small", "258"},
		"field behind an embedded pointer": {"\x81\xa4deep\xcd\x01\x02", "field deep", "258"},
		"embedded struct by its own name":  {"\x81\xa4Base\x81\xa5small\xcd\x01\x02", "field Base.small", "258"},
		"embedded struct that is named":    {"\x81\xa5apart\x81\xa5count\xcd\x01\x02", "field apart.count", "258"},
		"nested":                           {"\x81\xa5named\x81\xa5small\xcd\x01\x02", "field named.small", "258"},
		"after what is unknown":            {"\x82\xa3new\x82\xa1a\x92\x80\xa1x\xa1b\xd6\xff\x00\x00\x00\x00\xa5small\xcd\x01\x02", "field small", "258"},
		"after fields in another order":    {"\x84\xa4text\xa1a\xa4open\xc3\xa5count\x01\xa5small\xcd\x01\x02", "field small", "258"},
		"name in bytes":                    {"\x81\xc4\x05small\xcd\x01\x02", "field small", "258"},
		"long name":                        {"\x81\xd9\x05small\xcd\x01\x02", "field small", "258"},
		"in a list":                        {"\x81\xa5lines\x92\x80\x81\xa6number\xcd\x01\x02", "field lines[1].number", "258"},
		"in a map, a type in itself":       {"\x81\xa7by_name\x81\xa1a\x81\xa7by_name\x81\xa1b\x81\xa5count" + large, `field by_name["a"].by_name["b"].count`, "18446744073709551615"},
		"entry with a long name":           {"\x81\xa7by_name\x81\xb40123456789abcdefghij\x01", `field by_name["0123456789abcdef"…]`, "1"},
		"key":                              {"\x81\xa5ranks\x81\xcd\xff\xff\xc3", "field ranks[65535]", "65535"},
		"key that is text":                 {"\x81\xa5ranks\x81\xa11\xc3", `field ranks["1"]`, "text"},
		"other tag":                        {"\x81\xa5other\xcd\x01\x02", "field other", "258"},
		"alias":                            {"\x81\xa6second\xcd\x01\x02", "field other", "258"},
		"unsigned into a float":            {"\x81\xa5ratio" + large, "field ratio", "18446744073709551615"},
		"unsigned into a short float":      {"\x81\xa4rate" + large, "field rate", "18446744073709551615"},
		"float 64 into 32":                 {"\x81\xa4rate\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "field rate", "a float64"},
		"float into an integer":            {"\x81\xa5count\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", "field count", "a float64"},
		"short float into an integer":      {"\x81\xa5count\xca\x3f\x80\x00\x00", "field count", "a float32"},
		"text into an integer":             {"\x81\xa5count\xa11", "field count", "text"},
		"boolean into an integer":          {"\x81\xa5count\xc3", "field count", "a boolean"},
		"integer into a boolean":           {"\x81\xa4open\x01", "field open", "1"},
		"integer into text":                {"\x81\xa4text\xff", "field text", "-1"},
		"list into bytes":                  {"\x81\xa3raw\x91\x01", "field raw", "a list"},
		"list into an array of bytes":      {"\x81\xa4hash\x91\x01", "field hash", "a list"},
		"list into raw JSON":               {"\x81\xa4json\x91\x01", "field json", "a list"},
		"bytes into text, not UTF-8":       {"\x81\xa4text\xc4\x01\xff", "field text", "bytes"},
		"bytes into texts, not UTF-8":      {"\x81\xa4tags\x91\xc4\x01\xff", "field tags[0]", "bytes"},
		"bytes into a key, not UTF-8":      {"\x81\xa6labels\x81\xc4\x01\xff\xa0", `field labels["\xff"]`, "bytes"},
		"list for the struct":              {"\x91\x01", "value", "a list"},
		"empty list for the struct":        {"\x90", "value", "a list"},
		"list for a struct":                {"\x81\xa5lines\x91\x91\x01", "field lines[0]", "a list"},
		"map for a list":                   {"\x81\xa5lines\x80", "field lines", "a map"},
		"list for a map":                   {"\x81\xa6labels\x90", "field labels", "a list"},
		"time for a struct":                {"\x81\xa5named\xd6\xff\x00\x00\x00\x00", "field named", "a time"},
		"number for a name":                {"\x81\x01\x01", "value", "1"},
		// What is declared in a timestamp the guard cannot see.
		"time of 4e9 entries":         {"\x81\xa5notes\xd7\xff\xdf\xff\xff\xff\xff\x00\x00\x00", "field notes", "a time"},
		"time of 4e9 texts":           {"\x81\xa6labels\xd7\xff\xdf\xff\xff\xff\xff\x00\x00\x00", "field labels", "a time"},
		"long time of 4e9 entries":    {"\x81\xa7by_name\xc7\x0c\xff\x00\xdf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "field by_name", "a time"},
		"time of 4e9 entries of keys": {"\x81\xa5ranks\xd6\xff\xdf\xff\xff\xff", "field ranks", "a time"},
	} {
		_, err := decode(t, c.data, reflect.TypeFor[order]())
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.What != c.what || invalid.Value != c.value || !strings.HasPrefix(invalid.Reason, "want ") {
			t.Errorf("%s: %+v, want %s %q refused", name, err, c.what, c.value)
		}
	}
}

func TestShapeAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want order
	}{
		"nil":                    {"\xc0", order{}},
		"nil everywhere":         {"\x89\xa5small\xc0\xa5count\xc0\xa5named\xc0\xa5lines\xc0\xa6labels\xc0\xa4text\xc0\xa3raw\xc0\xa5ratio\xc0\xa4open\xc0", order{}},
		"nil in containers":      {"\x82\xa5lines\x91\xc0\xa7by_name\x81\xa1a\xc0", order{Lines: []line{{}}, ByName: map[string]*order{"a": nil}}},
		"integer for a float":    {"\x82\xa5ratio\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xa4rate\xfe", order{Ratio: 1 << 63, Rate: -2}},
		"short float for a long": {"\x81\xa5ratio\xca\x3f\xc0\x00\x00", order{Ratio: 1.5}},
		"bytes for text":         {"\x82\xa4text\xc4\x02\xc3\xa9\xa4tags\x91\xc4\x01a", order{Text: "é", Tags: []string{"a"}}},
		"text for bytes":         {"\x82\xa3raw\xa1a\xa4hash\xa1a", order{Raw: []byte("a"), Hash: [4]byte{'a'}}},
		"bytes that are no text": {"\x83\xa3raw\xc4\x01\xff\xa4hash\xc4\x01\xff\xa4json\xc4\x01\xff", order{Raw: []byte{255}, Hash: [4]byte{255}, JSON: json.RawMessage{255}}},
		"embedded":               {"\x83\xa5small\x01\xa4deep\x02\xa5apart\x81\xa5inner\x03", order{Base: Base{1}, Pointed: &Pointed{2}, Shadowed: Shadowed{Inner: 3}}},
		"by alias":               {"\x81\xa6second\x05", order{Renamed: 5}},
		"types of their own":     {"\x83\xa3own\xcd\x03\x00\xa2at\xd6\xff\x00\x00\x00\x01\xa5price\xa11", order{Own: ownDecoder{3}, At: time.Unix(1, 0).UTC(), Price: big.NewFloat(1).SetPrec(64)}},
		"anything":               {"\x82\xa3any\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa7Message\x91\xcd\x01\x02", order{Any: uint64(math.MaxUint64), Message: msgpack.RawMessage("\x91\xcd\x01\x02")}},
		"map of anything":        {"\x81\xa5notes\x81\xa1a\x91\xcd\x01\x02", order{Notes: map[string]any{"a": []any{uint16(258)}}}},
	} {
		got, err := decode(t, c.data, reflect.TypeFor[order]())
		if err != nil || !reflect.DeepEqual(got.Interface(), c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	unknown := "\x83\xa4nope\x82\x01\x90\x02\x80\xa6Hidden\xcd\x01\x02\xa5count\x07"
	var got order
	if err := store.MsgPack.Unmarshal([]byte(unknown), &got, false); err != nil || got.Count != 7 || got.Hidden != 0 {
		t.Errorf("fields that are unknown: %+v, %v, want them passed over", got, err)
	}
}

// A type that asks the library for lists has them, checked.
func TestShapeOfStructAsArray(t *testing.T) {
	t.Parallel()
	type listed struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // the library looks for it
		A        string
		B        int8
	}
	want := listed{A: "a", B: 5}
	data := mustMarshal(t, store.MsgPack, want)
	if string(data) != "\x92\xa1a\x05" {
		t.Fatalf("it is written as %x, want a list", data)
	}
	for _, data := range []string{string(data), "\x82\xa1B\x05\xa1A\xa1a"} {
		if got, err := decode(t, data, reflect.TypeFor[listed]()); err != nil || got.Interface() != want {
			t.Errorf("%x: %+v, %v, want %+v", data, got, err, want)
		}
	}
	for _, data := range []string{"\x92\xa1a\xcd\x01\x02", "\x92\x01\x05", "\x91\xa1a", "\x93\xa1a\x05\xcd\x01\x02", "\x81\xa1B\xcd\x01\x02"} {
		if got, err := decode(t, data, reflect.TypeFor[listed]()); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%x: %+v, %v, want it invalid", data, got, err)
		}
	}
}
