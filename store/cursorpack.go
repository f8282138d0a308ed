package store

import "slices"

// packCursor is the cursor of msgpack.
type packCursor struct{ wireReader }

func (c *packCursor) kind() kind {
	r := c.wireReader
	switch is, _ := r.head(); is {
	case wireNil:
		return kindNil
	case wireArray:
		return kindList
	case wireMap:
		return kindMap
	case wireSealed:
		return kindSealed
	}
	return kindOther
}

func (c *packCursor) skip() { c.pass(c.head()) }

func (c *packCursor) envelope() []byte {
	_, n := c.head()
	return c.content(n)
}

func (c *packCursor) enter() box {
	begin := c.pos
	is, n := c.head()
	return box{begin: begin, body: c.pos, count: int(n), isMap: is == wireMap}
}

func (c *packCursor) next(b *box, e *item) bool {
	if b.seen == b.count {
		b.end = c.pos
		return false
	}
	*e = item{begin: c.pos, index: b.seen}
	b.seen++
	if b.isMap {
		e.index = -1
		c.key(e)
	}
	return true
}

// key reads the key of a map.
func (c *packCursor) key(e *item) {
	switch is, n := c.head(); is {
	case wireText:
		e.name = c.content(n)
	case wireBytes:
		e.bytes = c.content(n)
	default:
		e.number = valueText(is, n)
	}
}

func (c *packCursor) scalar() (string, bool) {
	is, n := c.head()
	switch is {
	case wireText:
		return string(c.content(n)), true
	case wireUnsigned, wireNegative:
		if n == 0 {
			return "", true
		}
		return valueText(is, n), true
	}
	c.pass(is, n)
	return "", false
}

// zeroTime is the zero time.Time as the codec writes it.
const zeroTime = "\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00"

func (c *packCursor) isZero() bool {
	begin, zero := c.pos, true
	is, n := c.head()
	switch is {
	case wireNil:
	case wireBool:
		zero = c.data[begin] == 0xc2
	case wireUnsigned, wireText, wireFloat32, wireFloat64:
		zero = n == 0
		if is == wireText {
			c.pos += int(n)
		}
	case wireBytes:
		zero = !slices.ContainsFunc(c.content(n), func(b byte) bool { return b != 0 })
	case wireArray:
		for range n {
			zero = c.isZero() && zero
		}
	case wireMap:
		for range n {
			c.skip()
			zero = c.isZero() && zero
		}
	case wireTime:
		zero = string(c.data[begin:c.pos]) == zeroTime
	default:
		c.pass(is, n)
		zero = false
	}
	return zero
}
