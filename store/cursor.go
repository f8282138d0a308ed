package store

import "sync"

// cursor goes through encoded data value by value, in either codec. The data have
// passed the guard of their codec, which has bounded their depth. It is no interface,
// so that neither it nor what its callers hand to it has to be on the heap.
type cursor struct {
	isJSON bool
	json   jsonCursor
	pack   packCursor
}

// at is the place of the next value.
func (c *cursor) at() int {
	if c.isJSON {
		return c.json.at()
	}
	return c.pack.pos
}

// to goes to the place of a value.
func (c *cursor) to(place int) { c.json.pos, c.pack.pos = place, place }

// past is where the value ends that was gone past last.
func (c *cursor) past() int {
	if c.isJSON {
		return c.json.pos
	}
	return c.pack.pos
}

// kind says what the next value is.
func (c *cursor) kind() kind {
	if c.isJSON {
		return c.json.kind()
	}
	return c.pack.kind()
}

// skip goes past the next value, whole.
func (c *cursor) skip() {
	if c.isJSON {
		c.json.skip()
		return
	}
	c.pack.skip()
}

// envelope goes past the next value, which is a sealed one, and returns what it
// holds.
func (c *cursor) envelope() ([]byte, error) {
	if c.isJSON {
		return c.json.envelope()
	}
	return c.pack.envelope(), nil
}

// enter goes into the next value, which is a list or a map.
func (c *cursor) enter() box {
	if c.isJSON {
		return c.json.enter()
	}
	return c.pack.enter()
}

// next says where the next element of a list or a map begins, which the caller then has
// to go past. Behind the last it goes past the end, and b is complete.
func (c *cursor) next(b *box, e *item) bool {
	if c.isJSON {
		return c.json.next(b, e)
	}
	return c.pack.next(b, e)
}

// scalar goes past the next value, which is text or an integer, and returns it as
// text: "" for 0, which is nobody's id.
func (c *cursor) scalar() (text string, ok bool) {
	if c.isJSON {
		return c.json.scalar()
	}
	return c.pack.scalar()
}

// isZero goes past the next value, and says whether it is a zero value of any type.
func (c *cursor) isZero() bool {
	if c.isJSON {
		return c.json.isZero()
	}
	return c.pack.isZero()
}

// kind is what a value is, as far as walkers care.
type kind uint8

const (
	kindOther kind = iota
	kindNil
	kindList
	kindMap
	kindSealed
)

// box is a list or a map in its place.
type box struct {
	begin int // of its head
	body  int // where its first element begins
	end   int
	count int // of its elements
	seen  int // of these
	isMap bool
}

// item is where an element of a list or a map begins.
type item struct {
	begin  int    // of the element; in a map, of its key
	index  int    // in a list; -1 in a map
	name   []byte // in a map: the key, if that is text
	bytes  []byte // in a map: the key, if that is bytes, which a decoder takes as a name
	number string // in a map: the key, if that is an integer
}

// newCursor checks data, which may come from anywhere and may hold sealed values.
func newCursor(codec Codec, data []byte) (cursor, error) {
	if codec == JSON {
		if err := embeddable(data); err != nil {
			return cursor{}, err
		}
		return trustedCursor(codec, data), nil
	}
	w := walks.Get().(*msgpackWalk)
	err := w.again(data)
	walks.Put(w)
	if err != nil {
		return cursor{}, err
	}
	return trustedCursor(codec, data), nil
}

// walks are kept because those who need a cursor often run on goroutines of their own,
// and a walk in a function's frame would have the stack of each grow.
var walks = sync.Pool{New: func() any { return &msgpackWalk{most: MaxNodes, sealed: true} }}

// trustedCursor is newCursor for data that a codec has just written.
func trustedCursor(codec Codec, data []byte) cursor {
	if codec == JSON {
		return cursor{isJSON: true, json: jsonCursor{data: data}}
	}
	return cursor{pack: packCursor{wireReader{data: data}}}
}
