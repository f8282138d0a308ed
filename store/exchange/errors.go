package exchange

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// What an import refuses, beside [store.ErrInvalid] for a line that is not one
// and [store.ErrTooLarge] for one over a limit. All of them are in a
// [*LineError].
var (
	// ErrOrder: a line does not follow the one before it: a version or a part of
	// a commit is missing, comes twice, or comes too early.
	ErrOrder = errors.New("out of order")
	// ErrOtherEvents: the stream is in the log and holds other events than the file.
	ErrOtherEvents = errors.New("the stream holds other events")
	// ErrEncoding: the file comes from a namespace with another codec, and what it
	// holds cannot be put into the encoding of this one for certain.
	ErrEncoding = errors.New("other encoding")
	// ErrWithheld: the file was made without personal data; what stands in their place
	// is not what was there.
	ErrWithheld = errors.New("personal data were withheld when this was exported")
)

// ErrSealed: an export meets personal data that are sealed, and is not to withhold them.
var ErrSealed = errors.New("personal data are sealed")

// LineError says which line of a file an import stopped at.
type LineError struct {
	// Line counts from 1.
	Line int
	// Stream is the one that the line speaks of, if that is known.
	Stream store.StreamID
	Err    error
}

func (e *LineError) Error() string {
	if e.Stream == (store.StreamID{}) {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d, %s: %v", e.Line, e.Stream, e.Err)
}

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

func outOfOrder(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOrder, fmt.Sprintf(format, args...))
}

func invalidLine(what, value, reason string) error {
	return &store.InvalidError{What: what, Value: value, Reason: reason}
}

func errEncoding(from, to, why string) error {
	return fmt.Errorf("%w: the file has %s, the namespace %s: %s", ErrEncoding, from, to, why)
}
