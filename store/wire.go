package store

import "encoding/binary"

// wire is what a value on the wire is; several make a set.
type wire uint16

const (
	wireNil wire = 1 << iota
	wireBool
	wireUnsigned // an integer of at least 0, however it is written
	wireNegative
	wireFloat32
	wireFloat64
	wireText
	wireBytes
	wireArray
	wireMap
	wireTime
	wireSealed
)

// wireNames leaves out integers, which are shown as they are.
var wireNames = map[wire]string{
	wireNil: "nil", wireBool: "a boolean", wireFloat32: "a float32", wireFloat64: "a float64", wireText: "text",
	wireBytes: "bytes", wireArray: "a list", wireMap: "a map", wireTime: "a time", wireSealed: "a sealed value",
}

// wireCodes says for the first bytes from 0xc0 to 0xdf what they begin, and how
// many bytes of number or length follow.
var wireCodes = [32]struct {
	is    wire
	width uint8
}{
	0x00: {wireNil, 0}, 0x02: {wireBool, 0}, 0x03: {wireBool, 0},
	0x04: {wireBytes, 1}, 0x05: {wireBytes, 2}, 0x06: {wireBytes, 4},
	0x08: {wireSealed, 2}, 0x09: {wireSealed, 4}, // and 0x07, by its extension type
	0x0a: {wireFloat32, 4}, 0x0b: {wireFloat64, 8},
	0x0c: {wireUnsigned, 1}, 0x0d: {wireUnsigned, 2}, 0x0e: {wireUnsigned, 4}, 0x0f: {wireUnsigned, 8},
	0x10: {wireNegative, 1}, 0x11: {wireNegative, 2}, 0x12: {wireNegative, 4}, 0x13: {wireNegative, 8},
	0x07: {wireTime, 1}, 0x16: {wireTime, 0}, 0x17: {wireTime, 0}, // as far as a guard lets them through
	0x19: {wireText, 1}, 0x1a: {wireText, 2}, 0x1b: {wireText, 4},
	0x1c: {wireArray, 2}, 0x1d: {wireArray, 4}, 0x1e: {wireMap, 2}, 0x1f: {wireMap, 4},
}

// wireReader reads msgpack that has passed [GuardMsgPack]: it trusts all lengths.
type wireReader struct {
	data []byte
	pos  int
}

// head reads what the next value is, and its number or length. Of text, bytes
// and containers the content follows.
func (r *wireReader) head() (is wire, n uint64) {
	c := r.data[r.pos]
	r.pos++
	switch {
	case c <= 0x7f:
		return wireUnsigned, uint64(c)
	case c <= 0x8f:
		return wireMap, uint64(c & 0x0f)
	case c <= 0x9f:
		return wireArray, uint64(c & 0x0f)
	case c <= 0xbf:
		return wireText, uint64(c & 0x1f)
	case c >= 0xe0:
		return wireNegative, uint64(int64(int8(c)))
	}
	code := wireCodes[c-0xc0]
	n = r.number(code.width)
	switch code.is {
	case wireNegative:
		unused := 64 - 8*code.width
		if n = uint64(int64(n<<unused) >> unused); int64(n) >= 0 {
			return wireUnsigned, n
		}
	case wireTime, wireSealed:
		if c != 0xd6 && c != 0xd7 && r.data[r.pos] == sealedExtension {
			r.pos++
			return wireSealed, n
		}
		r.passTime(c, n)
	}
	return code.is, n
}

func (r *wireReader) number(width uint8) uint64 {
	b := r.data[r.pos:]
	r.pos += int(width)
	switch width {
	case 0:
		return 0
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// passTime goes past the extension type and the content of a timestamp.
func (r *wireReader) passTime(c byte, n uint64) {
	switch c {
	case 0xd6:
		n = 4
	case 0xd7:
		n = 8
	}
	r.pos += 1 + int(n)
}

// pass goes past a value whose head was read.
func (r *wireReader) pass(is wire, n uint64) {
	for left := 1; ; is, n = r.head() {
		switch is {
		case wireText, wireBytes, wireSealed:
			r.pos += int(n)
		case wireArray:
			left += int(n)
		case wireMap:
			left += 2 * int(n)
		}
		if left--; left == 0 {
			return
		}
	}
}

func (r *wireReader) content(n uint64) []byte {
	content := r.data[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return content
}
