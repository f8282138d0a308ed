package store

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// shapes knows what each Go type can take. The types are those of the program,
// so what it remembers is bounded.
type shapes struct {
	known sync.Map // reflect.Type -> *shape
}

// shape is what a Go type can take of the values on the wire. A pointer has the
// shape of what it points to; the shape nil takes anything, for the decoder or
// the type itself checks it.
type shape struct {
	takes wire
	want  string // takes in words
	least int64  // smallest integer
	most  uint64 // largest integer

	isText bool   // bytes have to be UTF-8, like text
	key    *shape // of a map
	elem   *shape // of a map, a slice or an array

	fields  []*field // of a struct, in order
	byName  map[string]*field
	asArray bool // fields come without their names
	keeper  *keeper
}

// check reports whether data, which has passed [GuardMsgPack], fits what v
// points to, and returns its shape. The error is an [*InvalidError] that names the
// place.
//
// Without it the decoder makes -1 of a number over the largest, and 2 of 258 in
// a byte; it fills a struct from a list by position; it takes bytes for text
// that is not UTF-8; and where it wants a map and finds a timestamp, it reads
// the timestamp as a map, of any length, past the guard.
func (s *shapes) check(data []byte, v any) (*shape, error) {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer {
		return nil, nil // which the decoder refuses
	}
	w, found := shapeWalk{wireReader{data: data}}, s.of(t.Elem())
	if m := w.value(found); m != nil {
		return nil, m.invalid()
	}
	return found, nil
}

func (s *shapes) of(t reflect.Type) *shape {
	if known, ok := s.known.Load(t); ok {
		return known.(*shape)
	}
	made := shapeMaker{}.of(t)
	s.known.Store(t, made)
	return made
}

// shapeMaker makes the shape of one type and of the types in it. It holds those
// that are begun, so that a type can hold itself.
type shapeMaker map[reflect.Type]*shape

func (m shapeMaker) of(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if begun, ok := m[t]; ok {
		return begun
	}
	if decodesItself(t) || !isChecked(t.Kind()) {
		return nil
	}
	s := &shape{}
	m[t] = s
	m.fill(s, t)
	s.takes |= wireNil
	return s
}

// isChecked: the decoder has no way to read into the other kinds, or, into an
// interface, a Go type for everything.
func isChecked(kind reflect.Kind) bool {
	switch kind {
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Struct, reflect.String:
		return true
	}
	return kind >= reflect.Bool && kind <= reflect.Float64 && kind != reflect.Uintptr
}

func (m shapeMaker) fill(s *shape, t reflect.Type) {
	switch t.Kind() {
	case reflect.Bool:
		s.takes, s.want = wireBool, "want true or false"
	case reflect.String:
		s.takes, s.want, s.isText = wireText|wireBytes, "want text in UTF-8", true
	case reflect.Slice, reflect.Array:
		m.fillList(s, t.Elem())
	case reflect.Map:
		s.takes, s.want = wireMap, "want a map"
		s.key, s.elem = m.of(t.Key()), m.of(t.Elem())
	case reflect.Struct:
		m.fillStruct(s, t)
	default:
		s.fillNumber(t)
	}
}

func (s *shape) fillNumber(t reflect.Type) {
	// The decoder takes an integer for a float as an int64.
	s.takes, s.least, s.most = wireUnsigned|wireNegative, math.MinInt64, math.MaxInt64
	instead := ""
	switch kind, unused := t.Kind(), 64-t.Bits(); {
	case kind == reflect.Float32:
		s.takes |= wireFloat32
		instead = "a float32 or "
	case kind == reflect.Float64:
		s.takes |= wireFloat32 | wireFloat64
		instead = "a float64 or "
	case kind >= reflect.Uint:
		s.least, s.most = 0, math.MaxUint64>>unused
	default:
		s.least, s.most = s.least>>unused, s.most>>unused
	}
	s.want = fmt.Sprintf("want %san integer from %d to %d", instead, s.least, s.most)
}

func (m shapeMaker) fillList(s *shape, elem reflect.Type) {
	if elem.Kind() == reflect.Uint8 {
		s.takes, s.want = wireText|wireBytes, "want bytes"
		return
	}
	s.takes, s.want, s.elem = wireArray, "want a list", m.of(elem)
}

func (m shapeMaker) fillStruct(s *shape, t reflect.Type) {
	found := fieldsOf(t)
	for _, f := range found.list {
		f.shape = m.of(f.goType)
	}
	for _, f := range found.byName {
		f.shape = m.of(f.goType)
	}
	s.takes, s.want = wireMap, "want a map of fields"
	s.fields, s.byName, s.asArray, s.keeper = found.list, found.byName, found.asArray, newKeeper(t)
	if s.asArray {
		s.takes |= wireArray
		return
	}
	for i, f := range s.fields {
		s.fields[i] = s.byName[f.name] // the last one, if several have the name
		s.fields[i].next = i + 1
	}
}

// field finds a field by name; the one to try first is at index next.
func (s *shape) field(name []byte, next int) *field {
	if next < len(s.fields) && s.fields[next].name == string(name) && !s.asArray {
		return s.fields[next]
	}
	return s.byName[string(name)]
}

var decoders = []reflect.Type{
	reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
	reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
}

// decodesItself reports whether the decoder leaves a type's values to the type,
// as it does with a time's.
func decodesItself(t reflect.Type) bool { return implementsAny(t, decoders) }

func implementsAny(t reflect.Type, interfaces []reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return slices.ContainsFunc(interfaces, pointer.Implements)
}
