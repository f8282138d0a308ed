package store

import (
	"fmt"
	"reflect"
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

// Encode returns v as it is written by c, and what in it is about persons. The
// error is an [*UnknownTypeError] if v's type has no name here, and otherwise the
// codec's.
func (t Types[T]) Encode(c Codec, v T) (Encoded, error) {
	w := t.byType[reflect.TypeOf(v)]
	if w == nil {
		return Encoded{}, &UnknownTypeError{What: "Go", Name: fmt.Sprintf("%T", v)}
	}
	data, err := c.Marshal(v)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %s: %w", w.name, err)
	}
	return Encoded{Name: w.name, Schema: len(w.schemas), Data: data}, nil
}
