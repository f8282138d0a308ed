package store

import (
	"bytes"
	"cmp"
	"slices"
)

// A guard keeps the keys of the maps that are open, those of an inner map above
// those of the outer one, and looks for repetitions when a map ends.

// fewKeys is up to how many keys each is compared with each: cheaper than
// sorting, and it hardly ever takes more.
const fewKeys = 16

type keyKind uint8

const (
	keyText keyKind = iota
	keyUnsigned
	keyNegative
)

// mapKey is one key; strings and bytes are the same kind, for a decoder takes
// either as the name of a field.
type mapKey struct {
	text   []byte
	number uint64
	kind   keyKind
}

func (k mapKey) compare(other mapKey) int {
	if c := cmp.Compare(k.kind, other.kind); c != 0 {
		return c
	}
	if c := cmp.Compare(k.number, other.number); c != 0 {
		return c
	}
	return bytes.Compare(k.text, other.text)
}

func (k *mapKey) equal(other *mapKey) bool {
	return k.kind == other.kind && k.number == other.number && bytes.Equal(k.text, other.text)
}

// keyStack holds the first keys without allocating.
type keyStack struct {
	first [fewKeys]mapKey
	count int
	more  []mapKey // those after first
}

func (s *keyStack) len() int { return s.count }

func (s *keyStack) push(k mapKey) {
	if s.count < len(s.first) {
		s.first[s.count] = k
	} else {
		s.more = append(s.more, k)
	}
	s.count++
}

// pop takes the keys from index on off the stack and reports whether two of
// them are equal.
func (s *keyStack) pop(from int) bool {
	twice := s.twice(from)
	s.more = s.more[:max(0, from-len(s.first))]
	s.count = from
	return twice
}

func (s *keyStack) twice(from int) bool {
	if s.count-from <= fewKeys {
		return s.twiceByPairs(from)
	}
	keys := s.more[max(0, from-len(s.first)):]
	if from < len(s.first) {
		keys = slices.Concat(s.first[from:], keys)
	}
	slices.SortFunc(keys, mapKey.compare)
	for i := 1; i < len(keys); i++ {
		if keys[i-1].compare(keys[i]) == 0 {
			return true
		}
	}
	return false
}

func (s *keyStack) twiceByPairs(from int) bool {
	for i := from + 1; i < s.count; i++ {
		for j := from; j < i; j++ {
			if s.at(i).equal(s.at(j)) {
				return true
			}
		}
	}
	return false
}

func (s *keyStack) at(i int) *mapKey {
	if i < len(s.first) {
		return &s.first[i]
	}
	return &s.more[i-len(s.first)]
}
