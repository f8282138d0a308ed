package store

import (
	"fmt"
	"reflect"
)

// DecodeAll reads a stored event and appends what it is in this build to dst:
// usually one value, several or none if its version is split. Fields that the type
// does not have are passed over, unless it keeps them ([Unknown]); those that the
// data do not have are zero. It allocates nothing beyond the values.
//
// The error is an [*UnknownTypeError] for a name or schema version that is not
// known, and otherwise the codec's; dst is then as it was. The panic of a step's
// function is its caller's.
func (t Types[T]) DecodeAll(dst []T, c Codec, name string, schema int, data []byte) ([]T, error) {
	s, v, err := t.raise("event", c, name, schema, data, false)
	if err != nil {
		return dst, err
	}
	if s.split == nil {
		return append(dst, v.(T)), nil
	}
	return t.appendParts(dst, s.split(v), name, schema)
}

// Decode is DecodeAll for what is known to be one value; the error is an
// [*InvalidError] if it is not.
func (t Types[T]) Decode(c Codec, name string, schema int, data []byte) (T, error) {
	return t.one(t.raise("event", c, name, schema, data, false))
}

// DecodeStrict reads a command that comes from outside, in a schema version or,
// for 0, in the last one: fields that the type of that version does not have are
// refused; no data at all are its zero value. The errors are those of Decode.
func (t Types[T]) DecodeStrict(c Codec, name string, schema int, data []byte) (T, error) {
	if schema == 0 {
		schema = t.Schema(name)
	}
	return t.one(t.raise("command", c, name, schema, data, true))
}

// Part returns v as the nth of the values that DecodeAll made of r.
func (t Types[T]) Part(r Recorded[[]byte], nth int, v T) Recorded[T] {
	part := WithData(r, v)
	if part.Part = nth; t.stepped {
		part.Type, _ = t.Name(v)
	}
	return part
}

// AsStored reads an event in the Go type of the schema version that it was stored
// in, and takes no step from there. With strict, fields that this type does not
// have are refused. The errors are those of DecodeAll.
func (t Types[T]) AsStored(c Codec, name string, schema int, data []byte, strict bool) (any, error) {
	s, err := t.schemaOf("event", name, schema)
	if err != nil {
		return nil, err
	}
	return decodeInto(c, name, s.goType, data, strict)
}

// Upcast appends to dst what this build would have stored instead of e: e itself,
// to the byte, if its name and schema are those that are written, and otherwise
// what [Types.DecodeAll] makes of it, encoded anew. The errors are those of
// DecodeAll and of Encode.
func (t Types[T]) Upcast(dst []Event, c Codec, e Event) ([]Event, error) {
	values, err := t.DecodeAll(nil, c, e.Type, e.Schema, e.Data)
	if err != nil {
		return dst, err
	}
	if w := t.byName[e.Type]; w.goType != nil && e.Schema == len(w.schemas) {
		return append(dst, e), nil
	}
	begin := len(dst)
	for _, v := range values {
		encoded, err := t.Encode(c, v)
		if err != nil {
			return dst[:begin], err
		}
		encoded.keyed(e.Personal)
		dst = append(dst, encoded.Event(e.Command))
	}
	return dst, nil
}

// raise decodes data and takes the steps up to the table, or up to a split.
func (t Types[T]) raise(what string, c Codec, name string, version int, data []byte, strict bool) (*schema[T], any, error) {
	s, err := t.schemaOf(what, name, version)
	if err != nil {
		return nil, nil, err
	}
	v, err := decodeInto(c, name, s.goType, data, strict)
	if err != nil {
		return nil, nil, err
	}
	for _, upcast := range s.upcasts {
		v = upcast(v)
	}
	return s, v, nil
}

func (t Types[T]) schemaOf(what, name string, version int) (*schema[T], error) {
	w := t.byName[name]
	if w == nil || version < firstSchema || version > len(w.schemas) {
		return nil, &UnknownTypeError{What: what, Name: name, Schema: version}
	}
	return &w.schemas[version-firstSchema], nil
}

// decodeInto makes the zero value of a command without data.
func decodeInto(c Codec, name string, goType reflect.Type, data []byte, strict bool) (any, error) {
	v := reflect.New(goType)
	if strict && len(data) == 0 {
		return v.Elem().Interface(), nil
	}
	if err := c.Unmarshal(data, v.Interface(), strict); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return v.Elem().Interface(), nil
}

// appendParts appends what a split made of a value.
func (t Types[T]) appendParts(dst, parts []T, name string, version int) ([]T, error) {
	for _, part := range parts {
		if _, known := t.Name(part); !known {
			return dst, fmt.Errorf("split %s v%d: %w", name, version, &UnknownTypeError{What: "Go", Name: fmt.Sprintf("%T", part)})
		}
	}
	return append(dst, parts...), nil
}

// one returns the value that raise found, if a split does not make another number.
func (t Types[T]) one(s *schema[T], v any, err error) (value T, _ error) {
	if err != nil {
		return value, err
	}
	if s.split == nil {
		return v.(T), nil
	}
	parts := s.split(v)
	if len(parts) != 1 {
		return value, &InvalidError{What: "value", Value: fmt.Sprintf("%T", v), Reason: fmt.Sprintf("it is split into %d, want one", len(parts))}
	}
	return parts[0], nil
}
