package store

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Unknown keeps the fields that a stored value has and its Go type does not: those
// that a later build added, or that this one no longer names. A struct that has a
// field of this type keeps them when it is decoded, and writes them back when it is
// encoded, unless it has a field of that name by then:
//
//	type Opened struct {
//		Owner string        `json:"owner"`
//		Rest  store.Unknown `json:"-"`
//	}
//
// It works for the value that a [Codec] is given, not for a struct inside it, and
// strict decoding refuses unknown fields all the same. It may be copied and compared.
// The zero value has no fields.
type Unknown struct {
	// packed are names and values in msgpack, how many of each is count; members
	// are those of a JSON object, without the braces.
	packed  string
	count   int
	members string
}

var unknownType = reflect.TypeFor[Unknown]()

// keeper knows which fields a struct type has, and where those go that it has not.
type keeper struct {
	index int // of the field of type Unknown
	names map[string]*field
}

// keepers knows the types that keep unknown fields. The types are those of the
// program, so what it remembers is bounded.
type keepers struct {
	known sync.Map // reflect.Type -> *keeper, nil if the type keeps none
}

// of returns nil for a type that keeps no unknown fields.
func (k *keepers) of(t reflect.Type) *keeper {
	if known, ok := k.known.Load(t); ok {
		return known.(*keeper)
	}
	made := newKeeper(t)
	k.known.Store(t, made)
	return made
}

// held returns what v, a struct or a pointer to one, holds, and its keeper.
func (k *keepers) held(v any) (Unknown, *keeper) {
	t := reflect.TypeOf(v)
	if t == nil {
		return Unknown{}, nil
	}
	value := reflect.ValueOf(v)
	if t.Kind() == reflect.Pointer {
		if value.IsNil() {
			return Unknown{}, nil
		}
		t, value = t.Elem(), value.Elem()
	}
	keeper := k.of(t)
	if keeper == nil {
		return Unknown{}, nil
	}
	return value.Field(keeper.index).Interface().(Unknown), keeper
}

// target returns the field to fill in what v points to, if that is a struct and not
// another pointer.
func (k *keeper) target(v any) (reflect.Value, bool) {
	value := reflect.ValueOf(v).Elem()
	if value.Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	return value.Field(k.index), true
}

func newKeeper(t reflect.Type) *keeper {
	if t.Kind() != reflect.Struct || decodesItself(t) || implementsAny(t, encoders) {
		return nil
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Type == unknownType && f.IsExported() {
			return &keeper{index: i, names: fieldsOf(t).byName}
		}
	}
	return nil
}

// has reports whether the type has a field of that name. JSON matches names without
// regard to case.
func (k *keeper) has(name string, anyCase bool) bool {
	if k.names[name] != nil {
		return true
	}
	if anyCase {
		for known := range k.names {
			if strings.EqualFold(known, name) {
				return true
			}
		}
	}
	return false
}

// checkUnknown refuses fields of type Unknown that would keep nothing, or would be
// written as fields themselves.
func checkUnknown(t reflect.Type) error {
	for f := range t.Fields() {
		if f.Type == unknownType {
			if !f.IsExported() || f.Tag.Get("json") != "-" || f.Tag.Get("msgpack") != "" {
				return fmt.Errorf("field %s of %v needs to be exported and tagged `json:\"-\"`", f.Name, t)
			}
			continue
		}
		if holdsUnknown(f.Type, map[reflect.Type]bool{}) {
			return fmt.Errorf("field %s of %v holds a store.Unknown inside, where none is filled", f.Name, t)
		}
	}
	return nil
}

func holdsUnknown(t reflect.Type, visited map[reflect.Type]bool) bool {
	if t == unknownType {
		return true
	}
	if visited[t] {
		return false
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsUnknown(t.Elem(), visited)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && holdsUnknown(f.Type, visited) {
				return true
			}
		}
	}
	return false
}
