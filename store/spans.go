package store

import "errors"

// Spans returns what is personal in the plain data of an event or a kept command, in the
// schema version that it is in: by the tags of that version's Go type. The data may come
// from anywhere. A personal field that is not there has no span. Errors: an
// [*UnknownTypeError]; an [*InvalidError] for something personal that belongs to nobody,
// for what looks like a sealed value, and for data in which today's type finds something
// personal while the one of their version has no tags; and otherwise the codec's.
func (t Types[T]) Spans(c Codec, name string, schema int, data []byte) ([]Personal, error) {
	s, err := t.schemaOf("value", name, schema)
	if err != nil {
		return nil, err
	}
	if _, err := decodeInto(c, name, s.goType, data, false); err != nil {
		return nil, err
	}
	p, err := knownPlans.of(s.goType)
	if err != nil {
		return nil, err
	}
	spans, err := p.found(c, data)
	if err != nil || len(spans) > 0 {
		return spans, err
	}
	return nil, t.untagged(c, name, schema, data)
}

// found is spans for data that somebody else has written.
func (p *plan) found(codec Codec, data []byte) ([]Personal, error) {
	if HoldsSealed(codec, data) {
		return nil, &InvalidError{What: "value", Value: sealedName, Reason: "the name is reserved for sealed values"}
	}
	if p == nil {
		return nil, nil
	}
	c, err := newCursor(codec, data)
	if err != nil {
		return nil, err
	}
	w := spanWalk{cursor: c, anyCase: codec == JSON}
	if err := w.value(p.marks(codec)); err != nil || len(w.spans) == 0 {
		return nil, err
	}
	return w.spans, guardRoom(codec, data, len(w.spans))
}

// untagged refuses data of an older schema, without personal fields, in which those of
// today are.
func (t Types[T]) untagged(c Codec, name string, schema int, data []byte) error {
	upcast, err := t.Upcast(nil, c, Event{Type: name, Schema: schema, Data: data})
	if _, unknown := errors.AsType[*UnknownTypeError](err); err != nil && !unknown {
		return err
	}
	for _, u := range upcast {
		if len(u.Personal) > 0 {
			return &InvalidError{What: "unmarked fields, personal in a later schema, of", Value: name, Reason: "they could not be sealed"}
		}
	}
	return nil
}
