package store

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// connect finds the way from each version of each name to the table.
func (t Types[T]) connect(steps []Step) error {
	c := chains{table: map[string]reflect.Type{}, steps: map[string][]Step{}, walked: map[place]*way{}}
	for name, w := range t.byName {
		c.table[name] = w.goType
	}
	if err := c.sort(steps); err != nil {
		return err
	}
	for name := range c.steps {
		if t.byName[name] == nil {
			t.byName[name] = &wireType[T]{name: name}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		for version := firstSchema; version <= c.last(name); version++ {
			found, err := c.walk(place{name, version})
			if err != nil {
				return err
			}
			s := schema[T]{goType: found.goType, becomes: found.becomes, upcasts: found.upcasts}
			if found.split != nil {
				split, ok := found.split.(func(any) []T)
				if !ok {
					return fmt.Errorf("%s: v%d is split into other values than %v, which the table has", name, version, reflect.TypeFor[T]())
				}
				s.split = split
			}
			t.byName[name].schemas = append(t.byName[name].schemas, s)
		}
	}
	return nil
}

// chains are the steps of a table, by the name that they begin with and in the
// order of their versions: the first has version 1, and none is missing.
type chains struct {
	table  map[string]reflect.Type
	steps  map[string][]Step
	walked map[place]*way
	trail  []place // from where the walk began
}

// place is a version of a name's schema.
type place struct {
	name    string
	version int
}

func (p place) String() string { return fmt.Sprintf("%s v%d", p.name, p.version) }

// way leads from a place to the table.
type way struct {
	goType  reflect.Type // at the place
	becomes string
	upcasts []func(any) any
	split   any
}

// last is the last version of a name: the one that is written if it is in the table.
func (c *chains) last(name string) int {
	if c.table[name] != nil {
		return len(c.steps[name]) + firstSchema
	}
	return len(c.steps[name])
}

// sort checks each step by itself, and that none is missing or there twice.
func (c *chains) sort(steps []Step) error {
	for _, s := range steps {
		if err := s.check(); err != nil {
			return err
		}
		c.steps[s.name] = append(c.steps[s.name], s)
	}
	for _, name := range slices.Sorted(maps.Keys(c.steps)) {
		of := c.steps[name]
		slices.SortFunc(of, func(a, b Step) int { return a.version - b.version })
		for i, s := range of {
			switch want := i + firstSchema; {
			case s.version < want:
				return fmt.Errorf("%s: two steps from v%d", name, s.version)
			case s.version > want:
				return fmt.Errorf("%s: %snone from v%d to v%d", name, arcs(of[:i]), want, want+1)
			}
		}
	}
	return nil
}

// arcs prints steps as "v1 -> v2, v2 -> v3, ".
func arcs(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "v%d -> v%d, ", s.version, s.version+1)
	}
	return b.String()
}

func (s Step) check() error {
	if err := ValidateName("wire name", s.name); err != nil {
		return err
	}
	here := place{s.name, s.version}
	switch {
	case s.version < firstSchema || s.version >= maxSchema:
		return fmt.Errorf("%s: schema versions of steps are 1 to %d", here, maxSchema-1)
	case s.broken != "":
		return fmt.Errorf("the step from %s %s", here, s.broken)
	case s.rename != "":
		return ValidateName("wire name", s.rename)
	case s.from.Kind() != reflect.Struct:
		return fmt.Errorf("%s stands for %v, want a struct", here, s.from)
	}
	if err := checkKeepers(s.from); err != nil {
		return err
	}
	_, err := knownPlans.of(s.from)
	return err
}

// walk follows the steps from a place to the table.
func (c *chains) walk(p place) (*way, error) {
	if found := c.walked[p]; found != nil {
		return found, nil
	}
	round := slices.Contains(c.trail, p)
	c.trail = append(c.trail, p)
	if round {
		return nil, fmt.Errorf("%s goes in a circle", c)
	}
	found, err := c.step(p)
	if err != nil {
		return nil, err
	}
	c.trail = c.trail[:len(c.trail)-1]
	c.walked[p] = found
	return found, nil
}

func (c *chains) step(p place) (*way, error) {
	of := c.steps[p.name]
	if p.version > len(of) {
		if c.table[p.name] == nil {
			return nil, fmt.Errorf("%s: the table has no type for it", c)
		}
		return &way{goType: c.table[p.name], becomes: p.name}, nil
	}
	s := of[p.version-firstSchema]
	switch {
	case s.rename != "":
		return c.walk(place{s.rename, firstSchema})
	case s.split != nil:
		return &way{goType: s.from, split: s.split}, nil
	}
	next, err := c.walk(place{p.name, p.version + 1})
	if err != nil {
		return nil, err
	}
	if next.goType != s.to {
		return nil, fmt.Errorf("%s -> v%d: the step gives %v, but v%d is %v", c, p.version+1, s.to, p.version+1, next.goType)
	}
	return &way{goType: s.from, becomes: next.becomes, upcasts: append([]func(any) any{s.upcast}, next.upcasts...), split: next.split}, nil
}

// String prints the trail as "closed v1 -> ended v1 -> ended v2".
func (c *chains) String() string {
	var names []string
	for _, p := range c.trail {
		names = append(names, p.String())
	}
	return strings.Join(names, " -> ")
}
