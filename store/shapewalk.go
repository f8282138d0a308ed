package store

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// shapeWalk reads a value beside its shape. It recurses, for the guard has
// bounded the depth.
type shapeWalk struct{ wireReader }

// value checks one value, whole.
func (w *shapeWalk) value(s *shape) *misfit {
	is, n := w.head()
	if s == nil {
		w.pass(is, n)
		return nil
	}
	if s.takes&is == 0 {
		return newMisfit(is, n, s.want)
	}
	switch is {
	case wireUnsigned:
		if n > s.most {
			return newMisfit(is, n, s.want)
		}
	case wireNegative:
		if int64(n) < s.least {
			return newMisfit(is, n, s.want)
		}
	case wireText, wireBytes:
		if content := w.content(n); is == wireBytes && s.isText && !utf8.Valid(content) {
			return newMisfit(is, n, s.want)
		}
	case wireArray:
		return w.list(s, int(n))
	case wireMap:
		if s.byName != nil {
			return w.fields(s, int(n))
		}
		return w.entries(s, int(n))
	}
	return nil
}

func (w *shapeWalk) fields(s *shape, n int) *misfit {
	next := 0
	for range n {
		is, length := w.head()
		if is&(wireText|wireBytes) == 0 {
			return newMisfit(is, length, "want the name of a field")
		}
		f := s.field(w.content(length), next)
		if f == nil {
			w.pass(w.head())
			continue
		}
		next = f.next
		if m := w.value(f.shape); m != nil {
			return m.in(f.name)
		}
	}
	return nil
}

func (w *shapeWalk) list(s *shape, n int) *misfit {
	for i := range n {
		elem := s.elem
		if s.asArray && n == len(s.fields) { // with another length the decoder refuses it
			elem = s.fields[i].shape
		}
		if m := w.value(elem); m != nil {
			return m.in("[" + strconv.Itoa(i) + "]")
		}
	}
	return nil
}

func (w *shapeWalk) entries(s *shape, n int) *misfit {
	for range n {
		key := w.pos
		m := w.value(s.key)
		if m == nil {
			m = w.value(s.elem)
		}
		if m != nil {
			w.pos = key
			return m.in("[" + w.keyText() + "]")
		}
	}
	return nil
}

// keyText is how a place in a map is named in an error.
func (w *shapeWalk) keyText() string {
	const most = 16
	is, n := w.head()
	if is&(wireText|wireBytes) == 0 {
		return valueText(is, n)
	}
	key := w.content(n)
	if len(key) > most {
		return fmt.Sprintf("%q…", key[:most])
	}
	return strconv.Quote(string(key))
}

// misfit is a value that its Go type cannot take.
type misfit struct {
	place, value, want string
}

func newMisfit(is wire, n uint64, want string) *misfit {
	return &misfit{value: valueText(is, n), want: want}
}

func valueText(is wire, n uint64) string {
	switch is {
	case wireUnsigned:
		return strconv.FormatUint(n, 10)
	case wireNegative:
		return strconv.FormatInt(int64(n), 10)
	}
	return wireNames[is]
}

// in puts the place that holds the value before where it is.
func (m *misfit) in(outer string) *misfit {
	if m.place != "" && m.place[0] != '[' {
		outer += "."
	}
	m.place = outer + m.place
	return m
}

func (m *misfit) invalid() error {
	what := "value"
	if m.place != "" {
		what = "field " + m.place
	}
	return &InvalidError{What: what, Value: m.value, Reason: m.want}
}
