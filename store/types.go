package store

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Types says which Go types the wire names of an application's events, or of
// its commands, stand for, and how what was written in an older schema becomes
// one of them. T is the sealed interface that all of them implement. It is made
// once and never changes; the zero value knows no names.
type Types[T any] struct {
	byName map[string]*wireType[T]
	byType map[reflect.Type]*wireType[T]
	// stepped says that values may be stored under other names than they have.
	stepped bool
}

// wireType is what a wire name stands for.
type wireType[T any] struct {
	name   string
	goType reflect.Type // that is written; nil if the name is only read any more
	plan   *plan        // of goType
	// schemas are the versions that can be read, the first at index 0.
	schemas []schema[T]
}

// schema is how one version of a wire type's data is read.
type schema[T any] struct {
	goType  reflect.Type
	becomes string          // wire name of what it becomes; "" if that is for split to say
	upcasts []func(any) any // one after the other, to the type that is written or that split takes
	split   func(any) []T   // nil: there is one value
}

// firstSchema is the version of a type's schema before it was ever changed.
const firstSchema = 1

// NewTypes takes the zero value of a struct type for each wire name, and the
// steps that lead there from older schemas:
//
//	store.NewTypes(map[string]Event{"opened": Opened{}, "closed": Closed{}},
//		store.Upcast("opened", 1, func(o OpenedV1) Opened { … }))
//
// It panics on what only a programmer can get wrong: a bad name, a value that
// is not a struct, one Go type under two names, tags of personal fields that name
// no data subject, and steps that do not lead from the first version of each name to
// a type of the table; the text names the chain and where it breaks.
func NewTypes[T any](types map[string]T, steps ...Step) Types[T] {
	t := Types[T]{byName: map[string]*wireType[T]{}, byType: map[reflect.Type]*wireType[T]{}}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if err := t.add(name, reflect.TypeOf(types[name])); err != nil {
			panic("store: " + err.Error())
		}
	}
	t.stepped = len(steps) > 0
	if err := t.connect(steps); err != nil {
		panic("store: " + err.Error())
	}
	return t
}

func (t Types[T]) add(name string, goType reflect.Type) error {
	if err := ValidateName("wire name", name); err != nil {
		return err
	}
	if goType == nil || goType.Kind() != reflect.Struct {
		return fmt.Errorf("wire name %q stands for %v, want a struct", name, goType)
	}
	if other, ok := t.byType[goType]; ok {
		return fmt.Errorf("%v has the wire names %q and %q", goType, other.name, name)
	}
	w := &wireType[T]{name: name, goType: goType}
	t.byName[name], t.byType[goType] = w, w
	if err := checkKeepers(goType); err != nil {
		return err
	}
	var err error
	w.plan, err = knownPlans.of(goType)
	return err
}

// Names returns the wire names that are written, sorted.
func (t Types[T]) Names() []string {
	return t.namesThat(func(w *wireType[T]) bool { return w.goType != nil })
}

// OldNames returns the wire names that are only read any more, sorted: those
// that a [Rename] or a [Split] has put an end to.
func (t Types[T]) OldNames() []string {
	return t.namesThat(func(w *wireType[T]) bool { return w.goType == nil })
}

// Becomes returns the wire name that values of the last schema version of a name
// have in this build: itself, unless it was renamed; "" if they are split, or if
// there is no such name.
func (t Types[T]) Becomes(name string) string {
	w := t.byName[name]
	if w == nil {
		return ""
	}
	return w.schemas[len(w.schemas)-1].becomes
}

// Origins returns the wire names under which values may be stored that become
// values of the given names, sorted: these themselves, older names of theirs, and
// all names of which a version is split.
func (t Types[T]) Origins(names ...string) []string {
	return t.namesThat(func(w *wireType[T]) bool {
		return slices.ContainsFunc(w.schemas, func(s schema[T]) bool { return s.split != nil || slices.Contains(names, s.becomes) })
	})
}

func (t Types[T]) namesThat(fits func(*wireType[T]) bool) []string {
	var names []string
	for name, w := range t.byName {
		if fits(w) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Has reports whether values under that wire name can be read.
func (t Types[T]) Has(name string) bool { return t.byName[name] != nil }

// Name returns the wire name of v's type. The string is shared: asking
// allocates nothing.
func (t Types[T]) Name(v T) (string, bool) {
	w := t.byType[reflect.TypeOf(v)]
	if w == nil {
		return "", false
	}
	return w.name, true
}

// Schema returns the schema version that values of the name are written in, or
// were written in last; 0 if there is no such name.
func (t Types[T]) Schema(name string) int {
	w := t.byName[name]
	if w == nil {
		return 0
	}
	return len(w.schemas)
}
