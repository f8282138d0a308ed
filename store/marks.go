package store

import (
	"bytes"
	"reflect"
	"slices"
	"sync"
)

// plan says what is personal in the encoded form of a Go type. A nil plan is that of a
// type without personal fields.
type plan struct {
	msgpack, json *marks
	list          []string // paths and subjects, for people
}

func (p *plan) marks(codec Codec) *marks {
	if codec == JSON {
		return p.json
	}
	return p.msgpack
}

// spans returns what is personal in data that codec has just written, and refuses what
// could be taken for a sealed value.
func (p *plan) spans(codec Codec, data []byte) ([]Personal, error) {
	if codec == JSON && bytes.Contains(data, []byte(sealedName)) {
		return nil, &InvalidError{What: "value", Value: sealedName, Reason: "the name is reserved for sealed values"}
	}
	if p == nil {
		return nil, nil
	}
	var room struct { // enough for most
		frames [2]frame
		path   [64]byte
	}
	w := spanWalk{cursor: trustedCursor(codec, data), frames: room.frames[:0], path: room.path[:0], usual: len(p.list)}
	if err := w.value(p.marks(codec)); err != nil || len(w.spans) == 0 {
		return nil, err
	}
	return w.spans, guardRoom(codec, data, len(w.spans))
}

// guardRoom refuses data that would go over a limit when so many values are sealed, or
// are left out and said to be. They have passed the guard as they are; most are so short that
// nothing has to be counted.
func guardRoom(codec Codec, data []byte, values int) error {
	most := MaxNodes - 2*values - 2
	if len(data) <= most && (codec != JSON || bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) < MaxDepth) {
		return nil
	}
	if codec == JSON {
		w := jsonWalk{data: data, most: most, deepest: MaxDepth - 1}
		return w.walk()
	}
	w := msgpackWalk{data: data, most: most}
	return w.walk()
}

// without returns a body from outside without its personal values.
func (p *plan) without(codec Codec, body []byte) []byte {
	c, err := newCursor(codec, body)
	if err != nil {
		return body
	}
	w := spanWalk{cursor: c, bare: true, anyCase: codec == JSON}
	if w.value(p.marks(codec)) != nil {
		return body
	}
	var es edits
	for _, span := range w.spans {
		es.add(edit{start: span.Start, end: span.End})
	}
	rest, _ := es.apply(body)
	return rest
}

// marks say it for one codec, and for a part of the type. Nil marks are those of a part
// in which nothing is personal.
type marks struct {
	// fields are those of a struct, by their names on the wire; nil for other types.
	fields map[string]mark
	// order are the names of a struct's fields that come without them.
	order [][]byte
	// elem is for what is in a list or a map.
	elem *marks
}

// mark says it for a field.
type mark struct {
	subject string // as tagged; "" for a field that is not personal
	inner   *marks
}

// plans knows the plans of Go types. The types are those of the program, so what it
// remembers is bounded.
type plans struct {
	known sync.Map // reflect.Type -> planned
}

type planned struct {
	plan *plan
	err  error
}

var knownPlans plans

// of returns the plan of a type, and what is wrong with its tags.
func (p *plans) of(t reflect.Type) (*plan, error) {
	if known, ok := p.known.Load(t); ok {
		return known.(planned).plan, known.(planned).err
	}
	var made planned
	made.plan, made.err = newPlan(t)
	p.known.Store(t, made)
	return made.plan, made.err
}

func newPlan(t reflect.Type) (*plan, error) {
	p := &plan{}
	for _, see := range []fieldsIn{msgpackFields, jsonFields} {
		c := tagCheck{see: see, seen: map[string]bool{}}
		if err := c.of(t, nil, nil); err != nil {
			return nil, err
		}
	}
	if !holdsTags(t, map[reflect.Type]bool{}) {
		return nil, nil
	}
	p.list = personalIn(nil, t, nil, nil)
	slices.Sort(p.list)
	p.msgpack, p.json = newMarks(t, msgpackFields), newMarks(t, jsonFields)
	return p, nil
}

// marker makes the marks of one type and of the types in it.
type marker struct {
	see  fieldsIn
	made map[reflect.Type]*marks
}

func newMarks(t reflect.Type, see fieldsIn) *marks {
	m := marker{see: see, made: map[reflect.Type]*marks{}}
	return m.of(t)
}

func (m marker) of(t reflect.Type) *marks {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if begun := m.made[t]; begun != nil {
		return begun
	}
	if !holdsTags(t, map[reflect.Type]bool{}) {
		return nil
	}
	made := &marks{}
	m.made[t] = made
	if t.Kind() != reflect.Struct {
		made.elem = m.of(t.Elem())
		return made
	}
	found := m.see(t)
	made.fields = make(map[string]mark, len(found.list))
	for _, f := range found.list {
		one := mark{subject: f.tag.Get(personalTag)}
		if one.subject == "" {
			one.inner = m.of(f.goType)
		}
		if known := made.fields[f.name]; known.subject == "" { // one is enough, of several with the name
			made.fields[f.name] = one
		}
		if found.asArray {
			made.order = append(made.order, []byte(f.name))
		}
	}
	return made
}

// holdsTags reports whether there is a personal field somewhere in values of a type.
func holdsTags(t reflect.Type, visited map[reflect.Type]bool) bool {
	if visited[t] {
		return false
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsTags(t.Elem(), visited)
	case reflect.Struct:
		for f := range t.Fields() {
			if _, tagged := f.Tag.Lookup(personalTag); tagged || holdsTags(f.Type, visited) {
				return true
			}
		}
	}
	return false
}
