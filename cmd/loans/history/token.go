package history

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
)

// next returns the next token of the file, at most maxTokenBytes long. At the
// file's end the error is io.EOF.
func (r *reader) next() (xml.Token, error) {
	r.budget.left = maxTokenBytes
	token, err := r.xml.Token()
	switch token.(type) {
	case xml.StartElement:
		if r.depth++; r.depth > maxDepth {
			return nil, fmt.Errorf("elements nested deeper than %d", maxDepth)
		}
	case xml.EndElement:
		r.depth--
	}
	return token, err
}

// children calls each for the elements within the one whose start was read
// last, up to its end. each reads its element to the end.
func (r *reader) children(each func(xml.StartElement) error) error {
	for {
		token, err := r.next()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if err := each(token); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip reads to the end of the element whose start was read last: attributes of
// XES may have attributes of their own.
func (r *reader) skip() error {
	return r.children(func(xml.StartElement) error { return r.skip() })
}

// budget is a reader of bytes that fails when a token takes too many: the
// decoder collects a whole token in memory before anybody sees it.
type budget struct {
	*bufio.Reader
	left int
}

var errTokenTooLong = errors.New("a tag or a text is longer than a megabyte")

// ReadByte is what the decoder of package xml reads with.
func (b *budget) ReadByte() (byte, error) {
	if b.left == 0 {
		return 0, errTokenTooLong
	}
	b.left--
	return b.Reader.ReadByte()
}
