package exchange

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/annals-go/annals/store"
)

// lineReader reads lines of at most [MaxLineBytes], and counts them.
type lineReader struct {
	in     *bufio.Reader
	buffer []byte // of a line that is longer than what in holds
	line   int    // the number of the last line read
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line that is not blank, without its end. It is valid
// until the next call. At the end it returns [io.EOF]. A last line without an end
// is a line.
func (r *lineReader) next() ([]byte, error) {
	for {
		line, err := r.read()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

func (r *lineReader) read() ([]byte, error) {
	r.line++
	r.buffer = r.buffer[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.buffer)+len(part) > MaxLineBytes {
			return nil, &store.TooLargeError{What: "line", Limit: MaxLineBytes}
		}
		if err == nil && len(r.buffer) == 0 {
			return part, nil
		}
		r.buffer = append(r.buffer, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.buffer) == 0:
			return nil, io.EOF
		case err == nil, errors.Is(err, io.EOF):
			return r.buffer, nil
		default:
			return nil, err
		}
	}
}
