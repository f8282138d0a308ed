package store

import (
	"errors"
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
}

// frame is a struct that is being read, with the ids of data subjects in it.
type frame struct {
	marks    *marks
	subjects []string // as in marks; "" for those that the data do not have
}

// value goes past a value.
func (w *spanWalk) value(m *marks) error {
	is := w.kind()
	if m == nil || is != kindMap && is != kindList {
		w.skip()
		return nil
	}
	if m.fields == nil {
		return w.inside(func(item) mark { return mark{inner: m.elem} })
	}
	if !w.bare {
		w.frames = append(w.frames, frame{marks: m, subjects: w.subjects(m)})
		defer func() { w.frames = w.frames[:len(w.frames)-1] }()
	}
	return w.inside(func(e item) mark { return m.fields[m.name(e, w.anyCase)] })
}

func (w *spanWalk) inside(markOf func(item) mark) error {
	length := len(w.path)
	_, err := w.entries(func(e item) error {
		w.path = w.path.to(e)
		err := w.field(markOf(e))
		w.path = w.path[:length]
		return err
	})
	return err
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
	zero := w.fork().isZero()
	w.skip()
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
	for i := len(w.frames) - 1; i >= 0; i-- {
		f := &w.frames[i]
		if _, has := f.marks.fields[name]; !has {
			continue
		}
		for n, subject := range f.marks.subjects {
			if subject == name {
				return f.subjects[n]
			}
		}
	}
	return ""
}

// subjects reads ahead: whose the values are may stand behind them.
func (w *spanWalk) subjects(m *marks) []string {
	if len(m.subjects) == 0 {
		return nil
	}
	found, ahead := make([]string, len(m.subjects)), w.fork()
	_, _ = ahead.entries(func(e item) error { // which has no error of its own
		name := m.name(e, false)
		for i, subject := range m.subjects {
			if subject == name {
				found[i], _ = ahead.scalar()
				return nil
			}
		}
		ahead.skip()
		return nil
	})
	return found
}

// name returns the name of the field that an element of a struct is.
func (m *marks) name(e item, anyCase bool) string {
	switch {
	case e.index >= 0 && e.index < len(m.order):
		return m.order[e.index]
	case e.index >= 0:
		return ""
	}
	given := e.name
	if given == nil {
		given = e.bytes
	}
	if _, known := m.fields[string(given)]; !known && anyCase {
		for name := range m.fields {
			if strings.EqualFold(name, string(given)) {
				return name
			}
		}
	}
	return string(given)
}
