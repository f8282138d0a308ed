package migrate

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// What a migration ends with, beside the errors of the logs and of the
// transformation.
var (
	// ErrDiverged: the new namespace holds something else than what the
	// transformation makes of the old one: it was begun with another build, or is
	// not this migration's.
	ErrDiverged = errors.New("the new log is not what is made of the old one")
	// ErrMoved: commits were added to the old namespace faster than they were
	// copied, or while the result was verified.
	ErrMoved = errors.New("the old log is still written to")
)

// DivergedError says where the logs part. It matches [ErrDiverged].
type DivergedError struct {
	// Sequence is the place in the new log, From the position in the old one; 0 is
	// its end.
	Sequence uint64
	From     store.Position
	Stream   store.StreamID
	Reason   string
}

func (e *DivergedError) Error() string {
	if e.Stream == (store.StreamID{}) {
		return fmt.Sprintf("%v: at sequence %d: %s", ErrDiverged, e.Sequence, e.Reason)
	}
	return fmt.Sprintf("%v: at sequence %d, %s, from position %d: %s", ErrDiverged, e.Sequence, e.Stream, e.From, e.Reason)
}

// Unwrap makes the error match [ErrDiverged].
func (e *DivergedError) Unwrap() error { return ErrDiverged }
