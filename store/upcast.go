package store

import "reflect"

// Step leads from one version of a wire type's schema to what came after it.
// [Upcast], [Split] and [Rename] make them, [NewTypes] takes them. Their functions
// are pure: no clock, no I/O, no randomness, for every replay runs them again.
type Step struct {
	name    string
	version int
	from    reflect.Type // nil for a rename
	to      reflect.Type // of an upcast
	upcast  func(any) any
	split   any    // func(any) []T
	rename  string // the name from here on
	broken  string // what is wrong with the step by itself
}

// Upcast is the step from a version of a wire name's schema to the next. What
// was written in that version is decoded as From, which nothing writes any more; To
// is the From of the next step, or the type that the table has for the name.
//
// A name's current schema is one above that of its last step. Fields that are
// only added or left out need no step: those that the data do not have are zero, and
// those that the type does not have are passed over.
func Upcast[From, To any](name string, version int, f func(From) To) Step {
	s := Step{name: name, version: version, from: reflect.TypeFor[From](), to: reflect.TypeFor[To]()}
	if f == nil {
		s.broken = "has no function"
	}
	s.upcast = func(v any) any { return f(v.(From)) }
	return s
}

// Split is the last step of a version of a wire name's schema: from there on the
// value is several values of the table, or one of another name, or, with none, dropped.
// An event remains one event of its stream, with one version, position and id; its
// parts differ in [Recorded.Part].
func Split[From, T any](name string, version int, f func(From) []T) Step {
	s := Step{name: name, version: version, from: reflect.TypeFor[From]()}
	if f == nil {
		s.broken = "has no function"
	}
	s.split = func(v any) []T { return f(v.(From)) }
	return s
}

// Rename is the step from a version of a wire name's schema to the first version
// of another's, of the same Go type. What is stored keeps its old name and is read
// under it. After its last rename the name may stand for something else, in the
// schema version after that.
func Rename(old string, version int, name string) Step {
	return Step{name: old, version: version, rename: name}
}
