package store

// cursor goes through encoded data value by value, in either codec. The data have
// passed the guard of their codec, which has bounded their depth.
type cursor interface {
	// fork returns a cursor that goes on by itself from here.
	fork() cursor
	// at is the place of the next value.
	at() int
	// past is where the value ends that was gone past last.
	past() int
	// kind says what the next value is.
	kind() kind
	// skip goes past the next value, whole.
	skip()
	// envelope goes past the next value, which is a sealed one, and returns what it
	// holds.
	envelope() ([]byte, error)
	// entries goes past the next value, which is a list or a map: it calls each before
	// every element, which has to go past that.
	entries(each func(item) error) (box, error)
	// scalar goes past the next value, which is text or an integer, and returns it as
	// text: "" for 0, which is nobody's id.
	scalar() (text string, ok bool)
	// isZero goes past the next value, and says whether it is a zero value of any type.
	isZero() bool
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
			return nil, err
		}
		return &jsonCursor{data: data}, nil
	}
	w := msgpackWalk{data: data, most: MaxNodes, sealed: true}
	if err := w.walk(); err != nil {
		return nil, err
	}
	return &packCursor{wireReader{data: data}}, nil
}

// trustedCursor is newCursor for data that a codec has just written.
func trustedCursor(codec Codec, data []byte) cursor {
	if codec == JSON {
		return &jsonCursor{data: data}
	}
	return &packCursor{wireReader{data: data}}
}
