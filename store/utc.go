package store

import (
	"reflect"
	"sync"
	"time"
)

// timeFields finds the times in a decoded value and sets them to UTC, whatever
// zone the machine is in: a fold must give the same state everywhere, and times
// are compared with ==. It remembers for each type where times can be; the types
// are those of the program, so what it remembers is bounded.
type timeFields struct {
	plans sync.Map // reflect.Type -> timePlan, nil if there are no times in it
}

// timePlan sets the times in a value of one type, which is settable.
type timePlan func(reflect.Value)

var timeType = reflect.TypeFor[time.Time]()

// toUTC sets the times in what the pointer v points to.
func (f *timeFields) toUTC(v any) {
	value := reflect.ValueOf(v)
	if value.Kind() != reflect.Pointer || value.IsNil() {
		return
	}
	value = value.Elem()
	if plan := f.planOf(value.Type()); plan != nil {
		plan(value)
	}
}

func (f *timeFields) planOf(t reflect.Type) timePlan {
	if plan, ok := f.plans.Load(t); ok {
		return plan.(timePlan)
	}
	var plan timePlan
	if mayHoldTime(t, map[reflect.Type]bool{}) {
		plan = f.makePlan(t)
	}
	f.plans.Store(t, plan)
	return plan
}

// mayHoldTime walks a type; visited ends the walk of a type that holds itself.
func mayHoldTime(t reflect.Type, visited map[reflect.Type]bool) bool {
	if t == timeType {
		return true
	}
	if visited[t] {
		return false
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return mayHoldTime(t.Elem(), visited)
	case reflect.Interface:
		return true
	case reflect.Struct:
		for field := range t.Fields() {
			if field.IsExported() && mayHoldTime(field.Type, visited) {
				return true
			}
		}
	}
	return false
}

// makePlan is called for types that may hold a time. Inner types are looked up
// when the plan runs: a type may hold itself.
func (f *timeFields) makePlan(t reflect.Type) timePlan {
	if t == timeType {
		return func(v reflect.Value) {
			at := v.Addr().Interface().(*time.Time)
			*at = at.UTC()
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return func(v reflect.Value) {
			if !v.IsNil() {
				f.run(v.Elem())
			}
		}
	case reflect.Slice, reflect.Array:
		return func(v reflect.Value) {
			for i := range v.Len() {
				f.run(v.Index(i))
			}
		}
	case reflect.Map:
		return f.mapEntries
	case reflect.Interface:
		return f.dynamic
	}
	return f.fields(t)
}

func (f *timeFields) fields(t reflect.Type) timePlan {
	var indexes []int
	for i := range t.NumField() {
		field := t.Field(i)
		if field.IsExported() && mayHoldTime(field.Type, map[reflect.Type]bool{}) {
			indexes = append(indexes, i)
		}
	}
	return func(v reflect.Value) {
		for _, i := range indexes {
			f.run(v.Field(i))
		}
	}
}

func (f *timeFields) run(v reflect.Value) {
	if plan := f.planOf(v.Type()); plan != nil {
		plan(v)
	}
}

// mapEntries and dynamic copy, for neither an entry of a map nor what an
// interface holds can be set in place.
func (f *timeFields) mapEntries(v reflect.Value) {
	for entries := v.MapRange(); entries.Next(); {
		entry := reflect.New(v.Type().Elem()).Elem()
		entry.Set(entries.Value())
		f.run(entry)
		v.SetMapIndex(entries.Key(), entry)
	}
}

func (f *timeFields) dynamic(v reflect.Value) {
	if v.IsNil() {
		return
	}
	held := reflect.New(v.Elem().Type()).Elem()
	held.Set(v.Elem())
	f.run(held)
	v.Set(held)
}
