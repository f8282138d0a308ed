package store

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const (
	// personalTag marks a field as personal, and names the field that holds the id of
	// the data subject, or streamSubject.
	personalTag   = "personal"
	streamSubject = "@id"
	// reservedNames begin with it.
	reservedNames = "annals:"
)

// personalIn appends the personal fields of a type at a path, and whose they are; those
// of a type that holds itself once.
func personalIn(list []string, t reflect.Type, at path, outer []reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return personalIn(list, t.Elem(), append(slices.Clone(at), '[', ']'), outer)
	case reflect.Struct:
		if slices.Contains(outer, t) || !holdsTags(t, map[reflect.Type]bool{}) {
			return list
		}
		outer = append(slices.Clone(outer), t)
		for _, f := range msgpackFields(t).list {
			here := slices.Clone(at).to(&item{index: -1, name: []byte(f.name)})
			if subject := f.tag.Get(personalTag); subject != "" && !f.alias {
				list = append(list, string(here)+" of "+subject)
			} else if !f.alias {
				list = personalIn(list, f.goType, here, outer)
			}
		}
	}
	return list
}

// tagCheck checks the tags of a type and of all types in it, as one codec sees them.
type tagCheck struct {
	see  fieldsIn
	seen map[string]bool // types in their surroundings
}

// of checks a type that stands at a path in the given structs, the outermost first.
func (c *tagCheck) of(t reflect.Type, at path, outer []reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer:
		return c.of(t.Elem(), at, outer)
	case reflect.Slice, reflect.Array, reflect.Map:
		return c.of(t.Elem(), append(slices.Clone(at), '[', ']'), outer)
	case reflect.Struct:
		return c.structOf(t, at, outer)
	}
	return nil
}

func (c *tagCheck) structOf(t reflect.Type, at path, outer []reflect.Type) error {
	outer = slices.DeleteFunc(slices.Clone(outer), func(o reflect.Type) bool { return o == t })
	outer = append(outer, t)
	around := surroundings(outer)
	if c.seen[around] {
		return nil
	}
	c.seen[around] = true
	if holdsTags(t, map[reflect.Type]bool{}) {
		if err := checkOwn(t); err != nil {
			return err
		}
	}
	for _, f := range c.see(t).list {
		here := slices.Clone(at).to(&item{index: -1, name: []byte(f.name)})
		if strings.HasPrefix(f.name, reservedNames) {
			return fmt.Errorf("field %s of %v: names that begin with %s are reserved", here, t, reservedNames)
		}
		subject, tagged := f.tag.Lookup(personalTag)
		if !tagged {
			if err := c.of(f.goType, here, outer); err != nil {
				return err
			}
			continue
		}
		if err := c.field(f, subject, outer); err != nil {
			return fmt.Errorf("personal field %s of %v %w", f.name, t, err)
		}
	}
	return nil
}

// surroundings tells lists of types apart.
func surroundings(outer []reflect.Type) string {
	var b strings.Builder
	for _, t := range outer {
		fmt.Fprintf(&b, "%p ", t)
	}
	return b.String()
}

// checkOwn checks what does not depend on where the struct stands.
func checkOwn(t reflect.Type) error {
	if encodesItself(t) {
		return fmt.Errorf("%v encodes itself, so its personal fields are not seen: tag the fields that hold it", t)
	}
	for f := range t.Fields() {
		if _, tagged := f.Tag.Lookup(personalTag); !tagged {
			continue
		}
		switch text := f.Tag.Get("msgpack") + f.Tag.Get("json"); {
		case f.Anonymous && text == "":
			return fmt.Errorf("personal field %s of %v is embedded: tag its fields, or give it a name", f.Name, t)
		case !f.IsExported() || text == "-" || text == "--":
			return fmt.Errorf("personal field %s of %v is never encoded", f.Name, t)
		}
	}
	return nil
}

// field checks a personal field: outer are the structs that it stands in.
func (c *tagCheck) field(f wireField, subject string, outer []reflect.Type) error {
	if holdsTags(f.goType, map[reflect.Type]bool{}) {
		return errors.New("has personal fields inside: it is personal whole")
	}
	if subject == streamSubject {
		return nil
	}
	for _, t := range slices.Backward(outer) {
		for _, s := range c.see(t).list {
			if s.name == subject {
				return checkSubject(s)
			}
		}
	}
	return fmt.Errorf("names the data subject %q, which no field of it or around it holds; %q is the stream's id", subject, streamSubject)
}

func checkSubject(f wireField) error {
	if _, tagged := f.tag.Lookup(personalTag); tagged {
		return fmt.Errorf("names the data subject %q, which is personal itself", f.name)
	}
	t := f.goType
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := t.Kind(); {
	case encodesItself(t):
	case kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uint64:
		return nil
	}
	return fmt.Errorf("names the data subject %q, which is %v: want text or an integer", f.name, f.goType)
}

var jsonEncoders = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}

func encodesItself(t reflect.Type) bool {
	return implementsAny(t, encoders) || implementsAny(t, jsonEncoders)
}
