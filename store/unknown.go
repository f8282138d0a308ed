package store

import "reflect"

// Unknown keeps the fields that a stored value has and its Go type does not: those
// that a later build added, or that this one no longer names. A struct that has a
// field of this type keeps them when it is decoded, and writes them back when it is
// encoded, unless it has a field of that name by then:
//
//	type Opened struct {
//		Owner string        `json:"owner"`
//		Rest  store.Unknown `json:"-"`
//	}
//
// It works for the value that a [Codec] is given, not for a struct inside it, and
// strict decoding refuses unknown fields all the same. It may be copied and compared.
// The zero value has no fields.
type Unknown struct {
	// packed are names and values in msgpack, how many of each is count; members
	// are those of a JSON object, without the braces.
	packed  string
	count   int
	members string
}

var unknownType = reflect.TypeFor[Unknown]()
