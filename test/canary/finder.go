package main

import (
	"bytes"
	"encoding/binary"
)

// finder looks for many marks in one pass.
type finder struct {
	marks []*mark
	// sieve has a bit for whatever a form begins with, by its hash: most bytes are passed
	// over by a look at it.
	sieve []uint64
	heads map[uint64][]place
	// longest is the length of the longest form.
	longest int
}

// place names a form.
type place struct{ mark, form int }

const sieveBits = 26

func newFinder(marks []*mark) *finder {
	f := &finder{marks: marks, sieve: make([]uint64, 1<<(sieveBits-6)), heads: map[uint64][]place{}}
	for m, mark := range marks {
		for i, form := range mark.forms {
			if len(form.bytes) < shortest {
				panic("the form " + form.name + " of " + mark.field + " is too short to be found")
			}
			head := binary.LittleEndian.Uint64(form.bytes)
			f.heads[head] = append(f.heads[head], place{m, i})
			f.longest = max(f.longest, len(form.bytes))
			bit := sieved(head)
			f.sieve[bit>>6] |= 1 << (bit & 63)
		}
	}
	return f
}

func sieved(head uint64) uint64 { return head * 0x9E3779B97F4A7C15 >> (64 - sieveBits) }

// find calls found for each mark in data, with the place at which it begins.
func (f *finder) find(data []byte, found func(m *mark, form string, at int)) {
	if len(data) < shortest {
		return
	}
	for at := range len(data) - shortest + 1 {
		head := binary.LittleEndian.Uint64(data[at:])
		bit := sieved(head)
		if f.sieve[bit>>6]&(1<<(bit&63)) == 0 {
			continue
		}
		for _, p := range f.heads[head] {
			m := f.marks[p.mark]
			if bytes.HasPrefix(data[at:], m.forms[p.form].bytes) {
				found(m, m.forms[p.form].name, at)
			}
		}
	}
}
