package store

import "slices"

// edit puts other bytes in the place of some.
type edit struct {
	start, end int
	with       []byte
	opened     bool // it is a value that was sealed
}

// edits are changes of encoded data, apart from each other.
type edits struct {
	list   []edit
	values []Personal // those that were sealed, in the order of their places
}

func (es *edits) add(e edit) { es.list = append(es.list, e) }

// open puts a value in the place where it was sealed. It is called in the order of places.
func (es *edits) open(start, end int, value []byte, p Personal) {
	if es.values == nil {
		es.values = make([]Personal, 0, usualValues)
	}
	es.add(edit{start: start, end: end, with: value, opened: true})
	es.values = append(es.values, p)
}

// usualValues is how many values are sealed in most data, at most.
const usualValues = 2

// apply returns a changed copy of data, and where in it the personal values are; data
// itself if there are no changes.
func (es *edits) apply(data []byte) ([]byte, []Personal) {
	if len(es.list) == 0 {
		return data, nil
	}
	slices.SortStableFunc(es.list, func(a, b edit) int { return a.start - b.start })
	size := len(data)
	for i := range es.list {
		size += len(es.list[i].with) - (es.list[i].end - es.list[i].start)
	}
	changed, last, opened := make([]byte, 0, size), 0, 0
	for i := range es.list {
		e := &es.list[i]
		changed = append(append(changed, data[last:e.start]...), e.with...)
		last = e.end
		if e.opened {
			p := &es.values[opened]
			p.Start, p.End = len(changed)-len(e.with), len(changed)
			opened++
		}
	}
	return append(changed, data[last:]...), es.values
}

// cuts takes entries out of one list or map, with what stands between them and others.
type cuts struct {
	kept, dropped int
	last          int // where the entry before ends
	open          int // index of an edit that reaches to the next entry; -1: none
}

// note takes the next entry, from begin to end.
func (c *cuts) note(es *edits, begin, end int, dropped bool) {
	if c.open >= 0 {
		es.list[c.open].end = begin
		c.open = -1
	}
	switch {
	case !dropped:
		c.kept++
	case c.kept > 0:
		c.dropped++
		es.add(edit{start: c.last, end: end})
	default:
		c.dropped++
		es.add(edit{start: begin, end: end})
		c.open = len(es.list) - 1
	}
	c.last = end
}

// recount writes how many elements a map has, where that is written.
func (es *edits) recount(codec Codec, b box, count int) {
	if codec != JSON && b.isMap && count != b.count {
		es.add(edit{start: b.begin, end: b.body, with: appendMapHeader(nil, count)})
	}
}

// nilOf is what stands for nothing.
func nilOf(codec Codec) []byte {
	if codec == JSON {
		return []byte("null")
	}
	return []byte{0xc0}
}

// memberOf adds a member to a map, behind its last.
func memberOf(codec Codec, b box, name string, value []byte, hasOthers bool) edit {
	if codec != JSON {
		return edit{start: b.end, end: b.end, with: append(appendText(nil, name), value...)}
	}
	var with []byte
	if hasOthers {
		with = append(with, ',')
	}
	with = append(append(append(with, '"'), name...), '"', ':')
	return edit{start: b.end - 1, end: b.end - 1, with: append(with, value...)}
}
