package store

import (
	"encoding/hex"
	"fmt"
	"unicode/utf8"
)

// Limits of a value that comes from outside, counted before it is decoded.
const (
	// MaxDepth is how deep arrays and maps may nest.
	MaxDepth = 32
	// MaxNodes is how many values a value may consist of, itself, the keys of
	// maps and everything nested counted.
	MaxNodes = 50_000
)

// tooDeep is said of a value that nests deeper than [MaxDepth]. It is malformed,
// not too large: a few bytes suffice, and fewer of them would not help.
var tooDeep = fmt.Sprintf("it nests deeper than %d", MaxDepth)

// GuardMsgPack reports whether data may be handed to a decoder: exactly one
// msgpack value, whose declared lengths are there, nested at most [MaxDepth]
// deep, of at most [MaxNodes] values, with strings of UTF-8, keys that are
// strings, bytes or integers and differ within a map, and no extension but the
// timestamp. It walks without recursion, and without allocating unless a map is
// large. The error is a [*TooLargeError] for too many values, and otherwise an
// [*InvalidError].
//
// Without it five bytes that declare four billion elements, or a megabyte of
// nested arrays, end the process.
func GuardMsgPack(data []byte) error {
	w := msgpackWalk{data: data, most: MaxNodes}
	return w.walk()
}

// msgpackWalk reads a value from front to back, with the containers that are
// open on a stack of fixed size.
type msgpackWalk struct {
	data   []byte
	most   int  // values that there may be
	sealed bool // sealed values may stand in it
	pos    int
	nodes  int
	depth  int
	open   [MaxDepth]container
	keys   keyStack
}

// again walks through other data, and keeps nothing of them.
func (w *msgpackWalk) again(data []byte) error {
	w.data, w.pos, w.nodes, w.depth = data, 0, 0, 0
	err := w.walk()
	w.data, w.keys = nil, keyStack{}
	return err
}

func (w *msgpackWalk) walk() error {
	for {
		if err := w.value(); err != nil {
			return err
		}
		if err := w.closeFull(); err != nil {
			return err
		}
		if w.depth == 0 {
			break
		}
	}
	if w.pos < len(w.data) {
		return w.invalid(w.pos, "bytes after the value")
	}
	return nil
}

// container is an array or a map that is being read.
type container struct {
	left     int // values still to come; two for each entry of a map
	firstKey int // where the map's keys begin on the key stack
	isMap    bool
}

// value reads one value, or the head of a container.
func (w *msgpackWalk) value() error {
	start := w.pos
	if start >= len(w.data) {
		return w.invalid(start, "it ends early")
	}
	if w.nodes++; w.nodes > w.most {
		return &TooLargeError{What: "count of values in msgpack", Limit: w.most}
	}
	isKey := w.depth > 0 && w.open[w.depth-1].wantsKey()
	c := w.data[start]
	w.pos++
	switch {
	case c <= 0x7f:
		return w.integer(isKey, uint64(c), false)
	case c >= 0xe0:
		return w.integer(isKey, uint64(int64(int8(c))), true)
	case c <= 0x8f:
		return w.begin(isKey, int(c&0x0f), true)
	case c <= 0x9f:
		return w.begin(isKey, int(c&0x0f), false)
	case c <= 0xbf:
		return w.text(isKey, int(c&0x1f))
	}
	return w.sized(isKey, c)
}

// begin opens an array or a map of n entries.
func (w *msgpackWalk) begin(isKey bool, n int, isMap bool) error {
	if isKey {
		return w.invalid(w.pos, "the key of a map is a container")
	}
	if isMap {
		n *= 2
	}
	if n > len(w.data)-w.pos {
		return w.invalid(w.pos, "it declares more than there is")
	}
	if w.depth == MaxDepth {
		return w.invalid(w.pos, tooDeep)
	}
	w.open[w.depth] = container{left: n, isMap: isMap, firstKey: w.keys.len()}
	w.depth++
	return nil
}

// closeFull counts the value that was read, unless it began a container, and
// closes the containers that are complete with it.
func (w *msgpackWalk) closeFull() error {
	for w.depth > 0 {
		top := &w.open[w.depth-1]
		if top.left > 0 {
			return nil
		}
		if top.isMap && w.keys.pop(top.firstKey) {
			return w.invalid(w.pos, "a map has a key twice")
		}
		w.depth--
		w.done()
	}
	return nil
}

// done counts one value of the innermost container.
func (w *msgpackWalk) done() {
	if w.depth > 0 {
		w.open[w.depth-1].left--
	}
}

func (c *container) wantsKey() bool { return c.isMap && c.left%2 == 0 }

func (w *msgpackWalk) scalar(isKey bool, size int) error {
	if isKey {
		return w.invalid(w.pos, "the key of a map is not a string, bytes or an integer")
	}
	if size > len(w.data)-w.pos {
		return w.invalid(w.pos, "it ends early")
	}
	w.pos += size
	w.done()
	return nil
}

func (w *msgpackWalk) integer(isKey bool, n uint64, negative bool) error {
	if isKey {
		kind := keyUnsigned
		if negative {
			kind = keyNegative
		}
		w.keys.push(mapKey{kind: kind, number: n})
	}
	w.done()
	return nil
}

func (w *msgpackWalk) text(isKey bool, n int) error {
	if n <= len(w.data)-w.pos && !utf8.Valid(w.data[w.pos:w.pos+n]) {
		return w.invalid(w.pos, "a string is not UTF-8")
	}
	return w.bytes(isKey, n)
}

func (w *msgpackWalk) bytes(isKey bool, n int) error {
	if n > len(w.data)-w.pos {
		return w.invalid(w.pos, "it declares more than there is")
	}
	if isKey {
		w.keys.push(mapKey{kind: keyText, text: w.data[w.pos : w.pos+n]})
	}
	w.pos += n
	w.done()
	return nil
}

func (w *msgpackWalk) invalid(at int, reason string) error {
	const shown = 8
	near := w.data[min(at, len(w.data)):]
	return &InvalidError{
		What:   fmt.Sprintf("msgpack at byte %d", at),
		Value:  hex.EncodeToString(near[:min(shown, len(near))]),
		Reason: reason,
	}
}
