package store

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// keeper knows which fields a struct type has, and where those go that it has not: into
// a field of type Unknown, and what was forgotten into one of type Shredded.
type keeper struct {
	unknown, shredded int // indexes of these fields; -1: none
	names             map[string]*field
}

// kept is what a struct holds in such fields.
type kept struct {
	unknown  Unknown
	shredded Shredded
}

// keepers knows the types that keep something. The types are those of the program, so
// what it remembers is bounded.
type keepers struct {
	known sync.Map // reflect.Type -> *keeper, nil if the type keeps nothing
}

// of returns nil for a type that keeps nothing.
func (k *keepers) of(t reflect.Type) *keeper {
	if known, ok := k.known.Load(t); ok {
		return known.(*keeper)
	}
	made := newKeeper(t)
	k.known.Store(t, made)
	return made
}

// held returns what v, a struct or a pointer to one, holds, and its keeper.
func (k *keepers) held(v any) (held kept, _ *keeper) {
	t := reflect.TypeOf(v)
	if t == nil {
		return held, nil
	}
	value := reflect.ValueOf(v)
	if t.Kind() == reflect.Pointer {
		if value.IsNil() {
			return held, nil
		}
		t, value = t.Elem(), value.Elem()
	}
	keeper := k.of(t)
	if keeper == nil {
		return held, nil
	}
	if keeper.unknown >= 0 {
		held.unknown = value.Field(keeper.unknown).Interface().(Unknown)
	}
	if keeper.shredded >= 0 {
		held.shredded = value.Field(keeper.shredded).Interface().(Shredded)
	}
	return held, keeper
}

// add adds to an encoded struct what it holds besides its fields.
func (k *keeper) add(codec Codec, encoded []byte, held kept) (_ []byte, err error) {
	switch {
	case held.unknown == Unknown{}:
	case codec == JSON:
		encoded, err = k.addJSON(encoded, held.unknown)
	default:
		encoded, err = k.addMsgPack(encoded, held.unknown)
	}
	if err != nil || !held.shredded.Any() {
		return encoded, err
	}
	return held.shredded.add(codec, encoded)
}

// fill sets these fields in what v points to, if that is a struct and not another
// pointer. The data have been decoded into it.
func (k *keeper) fill(codec Codec, data []byte, v any) error {
	value := reflect.ValueOf(v).Elem()
	if value.Kind() != reflect.Struct {
		return nil
	}
	if k.shredded >= 0 {
		value.Field(k.shredded).Set(reflect.ValueOf(shreddedOf(codec, data)))
	}
	if k.unknown < 0 {
		return nil
	}
	rest, err := k.keep(codec, data)
	value.Field(k.unknown).Set(reflect.ValueOf(rest))
	return err
}

func (k *keeper) keep(codec Codec, data []byte) (Unknown, error) {
	if codec == JSON {
		return k.keepJSON(data)
	}
	return k.keepMsgPack(data), nil
}

func newKeeper(t reflect.Type) *keeper {
	if t.Kind() != reflect.Struct || decodesItself(t) || implementsAny(t, encoders) {
		return nil
	}
	made := &keeper{unknown: -1, shredded: -1}
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case !f.IsExported():
		case f.Type == unknownType && made.unknown < 0:
			made.unknown = i
		case f.Type == shreddedType && made.shredded < 0:
			made.shredded = i
		}
	}
	if made.unknown < 0 && made.shredded < 0 {
		return nil
	}
	made.names = fieldsOf(t).byName
	return made
}

// has reports whether the type has a field of that name, or none is to be kept under
// it. JSON matches names without regard to case.
func (k *keeper) has(name string, anyCase bool) bool {
	if name == shreddedMember || k.names[name] != nil {
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

func keeps(t reflect.Type) bool { return t == unknownType || t == shreddedType }

// checkKeepers refuses fields of type Unknown or Shredded that would keep nothing, or
// would be written as fields themselves.
func checkKeepers(t reflect.Type) error {
	for f := range t.Fields() {
		if keeps(f.Type) {
			if !f.IsExported() || f.Tag.Get("json") != "-" || f.Tag.Get("msgpack") != "" {
				return fmt.Errorf("field %s of %v needs to be exported and tagged `json:\"-\"`", f.Name, t)
			}
			continue
		}
		if inner := keeperInside(f.Type, map[reflect.Type]bool{}); inner != nil {
			return fmt.Errorf("field %s of %v holds a %v inside, where none is filled", f.Name, t, inner)
		}
	}
	return nil
}

func keeperInside(t reflect.Type, visited map[reflect.Type]bool) reflect.Type {
	if keeps(t) {
		return t
	}
	if visited[t] {
		return nil
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return keeperInside(t.Elem(), visited)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() {
				if inner := keeperInside(f.Type, visited); inner != nil {
					return inner
				}
			}
		}
	}
	return nil
}
