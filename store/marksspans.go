package store

import (
	"errors"
	"slices"
	"strings"
)

// spanWalk reads encoded data beside the marks of their Go type, and collects what is
// personal.
type spanWalk struct {
	cursor
	// bare: the data come from outside, where names are taken in any case if the
	// codec is JSON, and whose the values are does not matter.
	bare, anyCase bool

	frames []frame
	path   path
	spans  []Personal
	usual  int // how many spans there are, most often
}

// frame is a struct that is being read.
type frame struct {
	marks *marks
	begin int // its place
	// asked is the data subject that was looked for in it first, id what was found.
	asked, id string
	others    map[string]string // that were looked for
}

// value goes past a value.
func (w *spanWalk) value(m *marks) error {
	is := w.kind()
	if m == nil || is != kindMap && is != kindList {
		w.skip()
		return nil
	}
	if m.fields == nil || w.bare {
		return w.inside(m)
	}
	w.frames = append(w.frames, frame{marks: m, begin: w.at()})
	err := w.inside(m)
	w.frames = w.frames[:len(w.frames)-1]
	return err
}

// inside goes past a list or a map.
func (w *spanWalk) inside(m *marks) error {
	length := len(w.path)
	var e item
	for b := w.enter(); w.next(&b, &e); {
		field := m.of(&e, w.anyCase)
		if field == (mark{}) {
			w.skip()
			continue
		}
		w.path = w.path.to(&e)
		if err := w.field(field); err != nil {
			return err
		}
		w.path = w.path[:length]
	}
	return nil
}

func (w *spanWalk) field(m mark) error {
	if m.subject == "" {
		return w.value(m.inner)
	}
	begin := w.at()
	if w.bare {
		w.skip()
		w.spans = append(w.spans, Personal{Start: begin, End: w.past()})
		return nil
	}
	if w.kind() == kindNil {
		w.skip()
		return nil
	}
	zero := w.isZero()
	subject := ""
	if m.subject != streamSubject {
		subject = w.subject(m.subject)
		if subject == "" && zero {
			return nil
		}
		if err := w.checkID(m.subject, subject); err != nil {
			return err
		}
	}
	if w.spans == nil {
		w.spans = make([]Personal, 0, w.usual)
	}
	w.spans = append(w.spans, Personal{Path: w.path.String(), Start: begin, End: w.past(), Subject: subject})
	return nil
}

// checkID refuses what cannot be the id of a data subject. The error does not tell it,
// for it may be a name itself.
func (w *spanWalk) checkID(field, subject string) error {
	_, err := tokenSize(subject)
	if err == nil {
		return nil
	}
	reason := "it is too long"
	if invalid := (*InvalidError)(nil); errors.As(err, &invalid) {
		reason = invalid.Reason
	}
	return &InvalidError{What: "personal field", Value: w.path.String(), Reason: "the id of its data subject, in " + field + ", cannot be one: " + reason}
}

// subject returns the id in a field of the innermost struct that can have it.
func (w *spanWalk) subject(name string) string {
	for i := range slices.Backward(w.frames) {
		f := &w.frames[i]
		if _, has := f.marks.fields[name]; !has {
			continue
		}
		return f.subject(name, w.cursor)
	}
	return ""
}

// subject looks for each name once, however many values are that person's.
func (f *frame) subject(name string, c cursor) string {
	if f.asked == name {
		return f.id
	}
	if id, known := f.others[name]; known {
		return id
	}
	id := f.find(name, c)
	switch {
	case f.asked == "":
		f.asked, f.id = name, id
	case f.others == nil:
		f.others = map[string]string{name: id}
	default:
		f.others[name] = id
	}
	return id
}

// find reads the struct for itself, from its begin: whose the values are may stand before
// them or behind them. A codec writes a field once.
func (f *frame) find(name string, c cursor) string {
	c.to(f.begin)
	var e item
	for b := c.enter(); c.next(&b, &e); {
		if string(f.marks.name(&e)) == name {
			subject, _ := c.scalar()
			return subject
		}
		c.skip()
	}
	return ""
}

// of returns the mark of an element: of the field that it is, of a struct.
func (m *marks) of(e *item, anyCase bool) mark {
	if m.fields == nil {
		return mark{inner: m.elem}
	}
	name := m.name(e)
	found, known := m.fields[string(name)]
	if known || !anyCase {
		return found
	}
	for other, found := range m.fields {
		if strings.EqualFold(other, string(name)) {
			return found
		}
	}
	return mark{}
}

// name returns the name of the field that an element of a struct is; nil if it is none.
func (m *marks) name(e *item) []byte {
	switch {
	case e.index >= 0 && e.index < len(m.order):
		return m.order[e.index]
	case e.name == nil:
		return e.bytes
	}
	return e.name
}
