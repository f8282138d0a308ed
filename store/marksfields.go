package store

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// fieldsIn returns the fields that a struct has on the wire, by the rules of a codec.
type fieldsIn func(t reflect.Type) wireFields

type wireFields struct {
	list    []wireField
	asArray bool // they come in their order, without their names
}

type wireField struct {
	name   string
	goType reflect.Type
	tag    reflect.StructTag
	alias  bool // it is another name, which a decoder takes and nothing is written under
}

// msgpackFields also has the other names that a decoder takes: aliases, and those
// of embedded structs as a whole.
func msgpackFields(t reflect.Type) wireFields {
	found := fieldsOf(t)
	fields := wireFields{asArray: found.asArray}
	for _, f := range found.list {
		fields.list = append(fields.list, wireField{name: f.name, goType: f.goType, tag: f.tag})
	}
	if found.asArray {
		return fields
	}
	for name, f := range found.byName {
		if !slices.Contains(found.list, f) || f.name != name {
			fields.list = append(fields.list, wireField{name: name, goType: f.goType, tag: f.tag, alias: true})
		}
	}
	return fields
}

// jsonFields follows package encoding/json: of several fields with one name, that of
// the outermost struct counts, and among those the tagged one; none if that leaves two.
func jsonFields(t reflect.Type) wireFields {
	s := jsonScan{best: map[string]*jsonField{}, visited: map[reflect.Type]bool{}}
	for depth, level := 0, []reflect.Type{t}; len(level) > 0; depth++ {
		level = s.level(level, depth)
	}
	var fields wireFields
	for _, name := range s.names {
		if f := s.best[name]; !f.tie {
			fields.list = append(fields.list, f.wireField)
		}
	}
	return fields
}

type jsonField struct {
	wireField
	depth  int
	tagged bool
	tie    bool
}

type jsonScan struct {
	best    map[string]*jsonField
	names   []string
	visited map[reflect.Type]bool
}

// level takes the fields of structs that are embedded equally deep, and returns
// those that are embedded in them.
func (s *jsonScan) level(structs []reflect.Type, depth int) (next []reflect.Type) {
	for _, t := range structs {
		if s.visited[t] {
			continue
		}
		for f := range t.Fields() {
			inner := f.Type
			if inner.Name() == "" && inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			name, ok := jsonName(f, inner)
			switch {
			case !ok:
			case name == "" && f.Anonymous && inner.Kind() == reflect.Struct:
				next = append(next, inner)
			default:
				s.add(&jsonField{wireField: wireField{name: name, goType: f.Type, tag: f.Tag}, depth: depth, tagged: name != ""}, f.Name)
			}
		}
	}
	for _, t := range structs { // twice on one level is a tie, on the next it is hidden
		s.visited[t] = true
	}
	return next
}

// jsonName returns the name that a field's tag gives it; ok is false for a field that
// is not encoded.
func jsonName(f reflect.StructField, inner reflect.Type) (name string, ok bool) {
	tag := f.Tag.Get("json")
	if tag == "-" || !f.IsExported() && (!f.Anonymous || inner.Kind() != reflect.Struct) {
		return "", false
	}
	name, _, _ = strings.Cut(tag, ",")
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return "", true
		}
	}
	return name, true
}

func (s *jsonScan) add(f *jsonField, goName string) {
	if !f.tagged {
		f.name = goName
	}
	before := s.best[f.name]
	switch {
	case before == nil:
		s.names = append(s.names, f.name)
		s.best[f.name] = f
	case before.depth < f.depth || before.tagged && !f.tagged:
	case f.tagged && !before.tagged:
		s.best[f.name] = f
	default:
		before.tie = true
	}
}
