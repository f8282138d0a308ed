package store

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Types says which Go types the wire names of an application's events, or of
// its commands, stand for. T is the sealed interface that all of them
// implement. It is made once and never changes; the zero value knows no names.
type Types[T any] struct {
	byName map[string]*wireType
	byType map[reflect.Type]*wireType
}

type wireType struct {
	name   string
	goType reflect.Type
}

// firstSchema is the version of a type's schema before it was ever changed.
const firstSchema = 1

// NewTypes takes the zero value of a struct type for each wire name:
//
//	store.NewTypes(map[string]Event{"opened": Opened{}, "closed": Closed{}})
//
// It panics on what only a programmer can get wrong: a bad name, a value that
// is not a struct, one Go type under two names.
func NewTypes[T any](types map[string]T) Types[T] {
	t := Types[T]{byName: map[string]*wireType{}, byType: map[reflect.Type]*wireType{}}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if err := t.add(name, reflect.TypeOf(types[name])); err != nil {
			panic("store: " + err.Error())
		}
	}
	return t
}

func (t Types[T]) add(name string, goType reflect.Type) error {
	if err := ValidateName("wire name", name); err != nil {
		return err
	}
	if goType == nil || goType.Kind() != reflect.Struct {
		return fmt.Errorf("wire name %q stands for %v, want a struct", name, goType)
	}
	if other, ok := t.byType[goType]; ok {
		return fmt.Errorf("%v has the wire names %q and %q", goType, other.name, name)
	}
	w := &wireType{name: name, goType: goType}
	t.byName[name], t.byType[goType] = w, w
	return nil
}

// Names returns the wire names, sorted.
func (t Types[T]) Names() []string { return slices.Sorted(maps.Keys(t.byName)) }

// Has reports whether name is a wire name of these types.
func (t Types[T]) Has(name string) bool { return t.byName[name] != nil }

// Name returns the wire name of v's type. The string is shared: asking
// allocates nothing.
func (t Types[T]) Name(v T) (string, bool) {
	w := t.byType[reflect.TypeOf(v)]
	if w == nil {
		return "", false
	}
	return w.name, true
}

// Schema returns the schema version that values of the name are written in, 0
// if there is no such name.
func (t Types[T]) Schema(name string) int {
	if !t.Has(name) {
		return 0
	}
	return firstSchema
}

// Encode returns v's wire name, the version of its schema, and its encoding by
// c. The error is an [*UnknownTypeError] if v's type has no name here, and
// otherwise the codec's.
func (t Types[T]) Encode(c Codec, v T) (name string, schema int, data []byte, err error) {
	name, ok := t.Name(v)
	if !ok {
		return "", 0, nil, &UnknownTypeError{What: "Go", Name: fmt.Sprintf("%T", v)}
	}
	data, err = c.Marshal(v)
	if err != nil {
		return "", 0, nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return name, firstSchema, data, nil
}

// Decode reads a stored event: the inverse of Encode. Fields that the type no
// longer has are passed over, those that the data do not have are zero. The
// error is an [*UnknownTypeError] for a name or schema version that is not
// known, and otherwise the codec's.
func (t Types[T]) Decode(c Codec, name string, schema int, data []byte) (T, error) {
	w := t.byName[name]
	if w == nil || schema != firstSchema {
		var none T
		return none, &UnknownTypeError{What: "event", Name: name, Schema: schema}
	}
	return decodeAs[T](c, w, data, false)
}

// DecodeStrict reads a command that comes from outside: fields that the type
// does not have are refused; no data at all are the zero value.
func (t Types[T]) DecodeStrict(c Codec, name string, data []byte) (T, error) {
	w := t.byName[name]
	if w == nil {
		var none T
		return none, &UnknownTypeError{What: "command", Name: name}
	}
	if len(data) == 0 {
		return reflect.Zero(w.goType).Interface().(T), nil
	}
	return decodeAs[T](c, w, data, true)
}

func decodeAs[T any](c Codec, w *wireType, data []byte, strict bool) (T, error) {
	v := reflect.New(w.goType)
	if err := c.Unmarshal(data, v.Interface(), strict); err != nil {
		var none T
		return none, fmt.Errorf("decode %s: %w", w.name, err)
	}
	return v.Elem().Interface().(T), nil
}
