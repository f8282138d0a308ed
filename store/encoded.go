package store

import (
	"fmt"
	"reflect"
	"slices"
)

// Encoded is a value as it is written.
type Encoded struct {
	// Name is the wire name of the value's type.
	Name string
	// Schema is the version of the type's schema that Data is written in, from 1.
	Schema int
	// Data is the encoded value, in plain.
	Data []byte
	// Personal are the parts of Data that are about persons, in the order of their
	// places; nil if there are none.
	Personal []Personal
}

// Event returns the value as an event that answers the commit's command of that
// index. It shares data and spans with e.
func (e Encoded) Event(command int) Event {
	return Event{Type: e.Name, Schema: e.Schema, Command: command, Data: e.Data, Personal: e.Personal}
}

// Encode returns v as it is written by c, and what in it is about persons: the fields
// tagged personal:"FIELD", where the named field, beside it or in a struct around it,
// holds the id of the data subject, or personal:"@id", where that is the stream's id.
// Fields that are nil, or not written at all, are left out, and so are zero values of
// nobody.
//
// The error is an [*UnknownTypeError] if v's type has no name here, an [*InvalidError]
// if something personal belongs to nobody, or if v holds what looks like a sealed
// value, and otherwise the codec's.
func (t Types[T]) Encode(c Codec, v T) (Encoded, error) {
	w := t.byType[reflect.TypeOf(v)]
	if w == nil {
		return Encoded{}, &UnknownTypeError{What: "Go", Name: fmt.Sprintf("%T", v)}
	}
	data, err := c.Marshal(v)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %s: %w", w.name, err)
	}
	personal, err := w.plan.spans(c, data)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %s: %w", w.name, err)
	}
	return Encoded{Name: w.name, Schema: len(w.schemas), Data: data, Personal: personal}, nil
}

// keyed gives the values that were encrypted before, and are encoded anew, the keys that
// they were encrypted with.
func (e *Encoded) keyed(before []Personal) {
	for i := range e.Personal {
		p := &e.Personal[i]
		for _, b := range before {
			if b.Subject == p.Subject || p.Subject == "" && b.Path == p.Path {
				p.Key = b.Key
				break
			}
		}
	}
}

// Personal returns the personal fields of what is written under a wire name, sorted,
// each as its path and whose it is: "phones[].number of person". Nil if it has none.
func (t Types[T]) Personal(name string) []string {
	if w := t.byName[name]; w != nil && w.plan != nil {
		return slices.Clone(w.plan.list)
	}
	return nil
}

// WithoutPersonal returns the body of a value in a schema version or, for 0, in the
// last one, without its personal values: for telling bodies apart without keeping
// anything of these. What it returns is no encoded value any more, unless the type has
// no personal fields; then it is the body. The body may come from anywhere; one that
// cannot be decoded is returned as it is.
func (t Types[T]) WithoutPersonal(c Codec, name string, schema int, body []byte) []byte {
	if schema == 0 {
		schema = t.Schema(name)
	}
	s, err := t.schemaOf("value", name, schema)
	if err != nil {
		return body
	}
	p, err := knownPlans.of(s.goType)
	if err != nil || p == nil || len(body) == 0 {
		return body
	}
	return p.without(c, body)
}

// PersonalFields is what [Types.Personal] returns, for the type of a document. The error
// says what is wrong with its tags.
func PersonalFields(t reflect.Type) ([]string, error) {
	p, err := planOf(t)
	if err != nil || p == nil {
		return nil, err
	}
	return slices.Clone(p.list), nil
}

// PersonalSpans returns what is personal in data, which codec has made of v: a
// document. Subject is empty where that is the document's key. The errors are those
// of [Types.Encode] and of [PersonalFields].
func PersonalSpans(codec Codec, v any, data []byte) ([]Personal, error) {
	p, err := planOf(reflect.TypeOf(v))
	if err != nil {
		return nil, err
	}
	return p.spans(codec, data)
}

func planOf(t reflect.Type) (*plan, error) {
	if t == nil {
		return nil, nil
	}
	p, err := knownPlans.of(t)
	if err != nil {
		return nil, &InvalidError{What: "type", Value: t.String(), Reason: err.Error()}
	}
	return p, nil
}
