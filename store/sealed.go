package store

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// The form of a sealed value on the wire: in msgpack an extension, in JSON an object
// with one member. Neither can be made by encoding a value: the guard refuses the
// extension, and Encode the name.
const (
	sealedExtension = 0x50

	sealedName  = `"annals:sealed":`
	sealedStart = `{` + sealedName + `"`
	sealedEnd   = `"}`
)

// SealedForm returns what stands in data in the place of a value that is sealed in
// envelope.
func SealedForm(codec Codec, envelope []byte) []byte {
	size := len(envelope) + 6
	if codec == JSON {
		size = len(sealedStart) + base64.StdEncoding.EncodedLen(len(envelope)) + len(sealedEnd)
	}
	return AppendSealedForm(make([]byte, 0, size), codec, envelope)
}

// AppendSealedForm appends the [SealedForm] of an envelope to b.
func AppendSealedForm(b []byte, codec Codec, envelope []byte) []byte {
	if codec == JSON {
		b = base64.StdEncoding.AppendEncode(append(b, sealedStart...), envelope)
		return append(b, sealedEnd...)
	}
	switch n := len(envelope); {
	case n <= 0xff:
		b = append(b, 0xc7, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0xc8), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc9), uint32(n))
	}
	return append(append(b, sealedExtension), envelope...)
}

// HoldsSealed reports whether there are sealed values in data, whatever they are. Data that
// codec cannot decode hold none that could be opened. Of JSON it says what [MayHoldSealed]
// does: their name is reserved there.
func HoldsSealed(codec Codec, data []byte) bool {
	if may := MayHoldSealed(codec, data); !may || codec == JSON {
		return may
	}
	c, err := newCursor(codec, data)
	return err == nil && c.passesSealed()
}

// passesSealed goes past a value, or to the first sealed one in it.
func (c *cursor) passesSealed() bool {
	switch c.kind() {
	case kindSealed:
		return true
	case kindList, kindMap:
		var e item
		for b := c.enter(); c.next(&b, &e); {
			if c.passesSealed() {
				return true
			}
		}
		return false
	}
	c.skip()
	return false
}

// MayHoldSealed is for whoever opens what is there anyhow, with [OpenSealed]: false is
// certain, but bytes that happen to look like the beginning of a sealed value make it true
// as well; of random ones every twenty thousandth does. It is a search for a few bytes and
// allocates nothing.
func MayHoldSealed(codec Codec, data []byte) bool {
	if codec == JSON {
		return bytes.Contains(data, []byte(sealedName))
	}
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], sealedExtension)
		if next < 0 {
			return false
		}
		at += next
		if at >= 2 && data[at-2] == 0xc7 || at >= 3 && data[at-3] == 0xc8 || at >= 5 && data[at-5] == 0xc9 {
			return true
		}
	}
}

// ReplaceSpans returns data, in plain, with other bytes in the places of spans: what
// replace makes of the value of each, by its index, and what it may use again as soon as
// it is called for the next. The spans must be in the order
// of their places and apart, and each exactly a value; the error is otherwise an
// [*InvalidError], and nothing is replaced. Of JSON it is not looked at whether they are
// values, which costs more than all else: what half of one leaves is no JSON, and no log
// takes it. A value of
// which replace makes nil is left out like one that was forgotten: see [OpenSealed].
// Spans that were taken of data say nothing about what is returned.
func ReplaceSpans(codec Codec, data []byte, spans []Personal, replace func(i int, value []byte) ([]byte, error)) ([]byte, error) {
	if err := fitSpans(codec, data, spans); err != nil {
		return nil, err
	}
	var replaced []byte
	last, forgotten := 0, false
	for i := range spans {
		span := &spans[i]
		value, err := replace(i, data[span.Start:span.End])
		if err != nil {
			return nil, err
		}
		if value == nil {
			value, forgotten = SealedForm(codec, nil), true
		}
		if replaced == nil { // the others will most often need as much
			replaced = make([]byte, 0, len(data)+len(spans)*min(len(value), usualForm))
		}
		replaced = append(append(replaced, data[last:span.Start]...), value...)
		last = span.End
	}
	if replaced == nil {
		return data, nil
	}
	replaced = append(replaced, data[last:]...)
	if !forgotten {
		return replaced, nil
	}
	return leaveOutEmpty(codec, replaced)
}

// fitSpans refuses spans that are no values of data. What would be put in the place of half
// a value, or of more than one, would leave something that nobody can read.
func fitSpans(codec Codec, data []byte, spans []Personal) error {
	last := 0
	for i := range spans {
		span := &spans[i]
		if span.Start < last || span.End <= span.Start || span.End > len(data) {
			return misplaced(span, "not in the data, or not after the one before")
		}
		last = span.End
	}
	if len(spans) == 0 || codec == JSON {
		return nil
	}
	c, err := newCursor(codec, data)
	if err != nil {
		return err
	}
	if left := c.passesSpans(spans); len(left) > 0 {
		return misplaced(&left[0], "no value of the data")
	}
	return nil
}

func misplaced(span *Personal, reason string) error {
	return &InvalidError{What: "personal data", Value: span.Path, Reason: fmt.Sprintf("its place %d to %d is %s", span.Start, span.End, reason)}
}

// passesSpans goes past a value, and returns the spans that are none of the values in it,
// the first of which is one that no later value can be.
func (c *cursor) passesSpans(spans []Personal) []Personal {
	start := c.at()
	if len(spans) == 0 || spans[0].Start <= start {
		c.skip()
		if len(spans) > 0 && spans[0].Start == start && spans[0].End == c.past() {
			return spans[1:]
		}
		return spans
	}
	if kind := c.kind(); kind != kindList && kind != kindMap {
		c.skip()
		return spans
	}
	var e item
	for b := c.enter(); c.next(&b, &e); {
		spans = c.passesSpans(spans)
	}
	return spans
}

// usualForm is how long most sealed values are at most.
const usualForm = 256

// leaveOutEmpty takes the sealed values with nothing in them out, and leaves the others.
func leaveOutEmpty(codec Codec, data []byte) ([]byte, error) {
	o, err := newOpening(codec, data)
	if err != nil {
		return nil, err
	}
	left, _, err := o.walk()
	return left, err
}

// OpenSealed opens the sealed values in data, which may come from anywhere. For each,
// in the order of their places, open gets the path and the envelope, and returns the
// plain value, encoded, with Subject and Key of p set; the rest of p is OpenSealed's
// to set. A nil value is one that was forgotten: the entry of a map is taken out with
// its name, the element of a list becomes nil, and the path is added to the member
// "annals:shredded" of the outermost map. What is outside of these places stays as it
// is, to the byte, so that what was sealed and is opened again is what it was.
//
// It returns the data, which are those given if nothing was sealed, the spans of the
// values that were opened, and the paths of those that were left out. The errors
// are those of open as they are, and an [*InvalidError] or a [*TooLargeError] for what
// is not encoded by codec.
func OpenSealed(codec Codec, data []byte, open func(path string, envelope []byte) (value []byte, p Personal, err error)) (plain []byte, personal []Personal, shredded []string, err error) {
	if !MayHoldSealed(codec, data) {
		return data, nil, nil, nil
	}
	o, err := newOpening(codec, data)
	if err != nil {
		return nil, nil, nil, err
	}
	var room struct { // enough for most
		edits [usualValues]edit
		path  [64]byte
	}
	o.open, o.edits.list, o.path = open, room.edits[:0], room.path[:0]
	if plain, personal, err = o.walk(); err != nil {
		return nil, nil, nil, err
	}
	return plain, personal, o.shredded, nil
}
