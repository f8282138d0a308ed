// Package people is an application that does nothing but hold data about persons, in
// every form that a field can have: texts, numbers, bytes, structs, lists and maps, of
// the person whose stream it is and of persons that are named.
//
// It owns two aggregates and the views on them. It never says what is personal by other
// means than tags and handlers, as any application would.
package people
