package actor

import (
	"reflect"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
)

// TypeKind says what a wire type is of.
type TypeKind string

// The kinds of wire types.
const (
	EventType   TypeKind = "event"
	CommandType TypeKind = "command"
)

// Type is a wire type of an aggregate as this build knows it.
type Type struct {
	// Name is the wire name.
	Name string `json:"name"`
	// Schema is the version that this build writes; it reads those before it, too.
	Schema int `json:"schema"`
	// Old says that the name is only read any more.
	Old bool `json:"old,omitempty"`
	// Becomes is the name that values of an old name have now; empty if they are split.
	Becomes string `json:"becomes,omitempty"`
	// Fields are those of the Go type that is written.
	Fields []Field `json:"fields"`
}

// Field is a field of a wire type.
type Field struct {
	// Name is as encoded.
	Name string `json:"name"`
	// Type is the Go type.
	Type string `json:"type"`
	// Personal says what in the field is about a person, and which field holds whose id:
	// "of owner", or "[].name of id" for what is inside; empty if nothing is.
	Personal string `json:"personal,omitempty"`
}

// Types returns the aggregate's wire types of a kind, sorted by name, old ones last.
func (m *Model) Types(of TypeKind) []Type { return m.kind.types(of) }

func (b *boundAggregate[S, C, E]) types(of TypeKind) []Type {
	if of == CommandType {
		return typesOf(b.Commands)
	}
	return typesOf(b.Events)
}

func typesOf[T any](types store.Types[T]) []Type {
	var all []Type
	for _, name := range types.Names() {
		zero, err := types.DecodeStrict(store.JSON, name, 0, nil)
		if err != nil {
			continue // its names are its own
		}
		all = append(all, Type{Name: name, Schema: types.Schema(name), Fields: fieldsOf(reflect.TypeOf(zero), types.Personal(name))})
	}
	for _, name := range types.OldNames() {
		all = append(all, Type{Name: name, Schema: types.Schema(name), Old: true, Becomes: types.Becomes(name), Fields: []Field{}})
	}
	return all
}

// fieldsOf lists the fields that are encoded, those of embedded structs among
// them, by their json tags, with what is personal among them.
func fieldsOf(t reflect.Type, personal []string) []Field {
	fields := []Field{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, Field{Name: name, Type: f.Type.String(), Personal: personalIn(name, personal)})
	}
	return slices.Clip(fields)
}

// personalIn returns what of a list of personal places is a field, or in it.
func personalIn(field string, personal []string) string {
	var places []string
	for _, place := range personal {
		if inside, ok := strings.CutPrefix(place, field); ok && strings.ContainsAny(inside[:1], " .[") {
			places = append(places, strings.TrimLeft(inside, " ."))
		}
	}
	return strings.Join(places, ", ")
}
