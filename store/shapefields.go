package store

import (
	"encoding"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/tagparser/v2"
)

// field is a field of a struct, under one name.
type field struct {
	name   string
	goType reflect.Type
	tag    reflect.StructTag
	shape  *shape
	next   int // index of the field that usually follows
}

// structFields is what the decoder finds in a struct type. The rules, odd ones
// too, are those of the msgpack library: a field that is missed here would go
// unchecked.
type structFields struct {
	list    []*field          // in order, those of embedded structs in place
	byName  map[string]*field // also aliases, and embedded structs as a whole
	asArray bool
}

func fieldsOf(t reflect.Type) structFields {
	fs := structFields{byName: map[string]*field{}}
	for f := range t.Fields() {
		text := f.Tag.Get("msgpack")
		if text == "" {
			text = f.Tag.Get("json")
		}
		tag := tagparser.Parse(text)
		if tag.Name == "-" {
			continue
		}
		if f.Name == "_msgpack" {
			fs.asArray = tag.HasOption("as_array") || tag.HasOption("asArray")
		}
		if f.IsExported() || f.Anonymous {
			fs.add(f, tag)
		}
	}
	return fs
}

func (fs *structFields) add(f reflect.StructField, tag *tagparser.Tag) {
	found := &field{name: tag.Name, goType: f.Type, tag: f.Tag}
	if found.name == "" {
		found.name = f.Name
	}
	inlined := f.Anonymous && !tag.HasOption("noinline") && fs.inline(f.Type, tag.HasOption("inline"))
	fs.byName[found.name] = found
	if inlined {
		return
	}
	fs.list = append(fs.list, found)
	if alias, ok := tag.Options["alias"]; ok {
		fs.byName[alias] = found
	}
}

// inline adds the fields of an embedded struct. Those whose names are taken it
// leaves out if it was asked for; otherwise one of them means that it adds none.
func (fs *structFields) inline(t reflect.Type, asked bool) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !asked && (t.Kind() != reflect.Struct || decodesItself(t) || implementsAny(t, encoders)) {
		return false
	}
	inner := fieldsOf(t).list
	for _, f := range inner {
		if fs.byName[f.name] != nil && !asked {
			return false
		}
	}
	for _, f := range inner {
		if fs.byName[f.name] == nil || !asked {
			fs.list = append(fs.list, f)
			fs.byName[f.name] = f
		}
	}
	return true
}

var encoders = []reflect.Type{
	reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}
