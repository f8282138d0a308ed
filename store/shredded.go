package store

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
)

// shreddedMember is the name under which encoded data hold the paths of what was
// forgotten.
const shreddedMember = "annals:shredded"

// Shredded says which personal values of a stored value are gone because the person
// was forgotten. A struct that has a field of this type gets it filled when it is
// decoded; in the fields themselves is then the zero value:
//
//	type Opened struct {
//		Owner string         `json:"owner"`
//		Name  string         `json:"name" personal:"owner"`
//		Gone  store.Shredded `json:"-"`
//	}
//
// It works for the value that a [Codec] is given, not for a struct inside it, and is
// written back when that is encoded. It may be copied and compared. The zero value
// says that nothing is gone.
type Shredded struct {
	paths string // one a line; none holds a line break, which a path quotes
}

var shreddedType = reflect.TypeFor[Shredded]()

// Any reports whether something is gone.
func (s Shredded) Any() bool { return s.paths != "" }

// Has reports whether the value at a path is gone: "applicant.phones[1].number".
func (s Shredded) Has(path string) bool { return slices.Contains(s.Paths(), path) }

// Paths returns the paths of all that is gone; nil if nothing is.
func (s Shredded) Paths() []string {
	if s.paths == "" {
		return nil
	}
	return strings.Split(s.paths, "\n")
}

// shreddedOf returns what data say that was forgotten.
func shreddedOf(codec Codec, data []byte) Shredded {
	if !bytes.Contains(data, []byte(shreddedMember)) {
		return Shredded{}
	}
	return Shredded{paths: strings.Join(ShreddedIn(codec, data), "\n")}
}

// add writes it into an encoded struct.
func (s Shredded) add(codec Codec, encoded []byte) ([]byte, error) {
	c := trustedCursor(codec, encoded)
	if c.kind() != kindMap {
		return nil, errors.New("what was forgotten goes with a struct that is a map of its fields")
	}
	list, err := codec.Marshal(s.Paths())
	if err != nil {
		return nil, err
	}
	var e item
	b := c.enter()
	for c.next(&b, &e) {
		c.skip()
	}
	var es edits
	es.recount(codec, b, b.count+1)
	es.add(memberOf(codec, b, shreddedMember, list, b.count > 0))
	whole, _ := es.apply(encoded)
	return whole, nil
}

// ShreddedIn returns the paths of the personal values that were left out of data
// because they were forgotten, for those who show data without knowing their type;
// nil if there are none. The data may come from anywhere.
func ShreddedIn(codec Codec, data []byte) []string {
	if !bytes.Contains(data, []byte(shreddedMember)) {
		return nil
	}
	c, err := newCursor(codec, data)
	if err != nil || c.kind() != kindMap {
		return nil
	}
	var paths []string
	var e item
	for b := c.enter(); c.next(&b, &e); {
		if string(e.name) == shreddedMember {
			paths = shreddedPaths(&c)
		} else {
			c.skip()
		}
	}
	return paths
}

// shreddedPaths goes past a list of paths; what is none is passed over.
func shreddedPaths(c *cursor) (paths []string) {
	if c.kind() != kindList {
		c.skip()
		return nil
	}
	var e item
	for b := c.enter(); c.next(&b, &e); {
		if text, ok := c.scalar(); ok {
			paths = append(paths, text)
		}
	}
	return paths
}
