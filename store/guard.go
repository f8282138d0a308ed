package store

import (
	"encoding/binary"
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

// sized reads a value whose first byte c only tells what follows.
func (w *msgpackWalk) sized(isKey bool, c byte) error {
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return w.scalar(isKey, 0)
	case 0xca: // float 32
		return w.scalar(isKey, 4)
	case 0xcb: // float 64
		return w.scalar(isKey, 8)
	case 0xcc, 0xcd, 0xce, 0xcf: // unsigned integers
		n, err := w.number(1 << (c - 0xcc))
		if err != nil {
			return err
		}
		return w.integer(isKey, n, false)
	case 0xd0, 0xd1, 0xd2, 0xd3: // signed integers
		n, err := w.signed(1 << (c - 0xd0))
		if err != nil {
			return err
		}
		return w.integer(isKey, uint64(n), n < 0)
	case 0xd6: // fixext 4
		return w.timestamp(isKey, 4)
	case 0xd7: // fixext 8
		return w.timestamp(isKey, 8)
	}
	return w.counted(isKey, c)
}

// counted reads a value that begins with its length.
func (w *msgpackWalk) counted(isKey bool, c byte) error {
	var width int
	switch c {
	case 0xc4, 0xd9, 0xc7:
		width = 1
	case 0xc5, 0xda, 0xdc, 0xde, 0xc8:
		width = 2
	case 0xc6, 0xdb, 0xdd, 0xdf, 0xc9:
		width = 4
	default:
		return w.invalid(w.pos-1, "a code or an extension that is not allowed")
	}
	n, err := w.number(width)
	if err != nil {
		return err
	}
	if n > uint64(len(w.data)-w.pos) {
		return w.invalid(w.pos, "it declares more than there is")
	}
	switch c {
	case 0xc4, 0xc5, 0xc6:
		return w.bytes(isKey, int(n))
	case 0xd9, 0xda, 0xdb:
		return w.text(isKey, int(n))
	case 0xdc, 0xdd:
		return w.begin(isKey, int(n), false)
	case 0xde, 0xdf:
		return w.begin(isKey, int(n), true)
	}
	return w.extension(isKey, c, int(n))
}

// extension reads a timestamp or, where there may be one, a sealed value.
func (w *msgpackWalk) extension(isKey bool, c byte, n int) error {
	switch {
	case w.pos < len(w.data) && w.data[w.pos] == sealedExtension:
		if !w.sealed {
			return w.invalid(w.pos, "it is a sealed value, which only a log with its key can open")
		}
		w.pos++
		return w.scalar(isKey, n)
	case c != 0xc7:
		return w.invalid(w.pos, "a code or an extension that is not allowed")
	}
	return w.timestamp(isKey, n)
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

// timestamp reads the extension type and n bytes of a timestamp.
func (w *msgpackWalk) timestamp(isKey bool, n int) error {
	const extension = 0xff // -1
	if n != 4 && n != 8 && n != 12 || n >= len(w.data)-w.pos || w.data[w.pos] != extension {
		return w.invalid(w.pos, "an extension that is not a whole timestamp")
	}
	b := w.data[w.pos+1 : w.pos+1+n]
	var nanoseconds uint64
	switch n {
	case 8:
		nanoseconds = binary.BigEndian.Uint64(b) >> 34
	case 12:
		nanoseconds = uint64(binary.BigEndian.Uint32(b))
	}
	if nanoseconds >= 1e9 {
		return w.invalid(w.pos, "a timestamp has more than 999,999,999 nanoseconds")
	}
	w.pos++
	return w.scalar(isKey, n)
}

// number reads a big-endian unsigned integer of width 1, 2, 4 or 8.
func (w *msgpackWalk) number(width int) (uint64, error) {
	if width > len(w.data)-w.pos {
		return 0, w.invalid(w.pos, "it ends early")
	}
	b := w.data[w.pos : w.pos+width]
	w.pos += width
	switch width {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

func (w *msgpackWalk) signed(width int) (int64, error) {
	n, err := w.number(width)
	shift := 64 - 8*width
	return int64(n<<shift) >> shift, err
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
