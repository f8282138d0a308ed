package segment

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// MaxBytes is how many bytes of commits, uncompressed, a file should hold: whoever
// writes begins another when [Writer.Raw] has come to it. It bounds what is lost
// of work when a file is abandoned, and the memory that its index takes.
const MaxBytes = 64 << 20

// Sum is a SHA-256 (FIPS 180-4).
type Sum [32]byte

// String prints the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText prints the sum in hexadecimal.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText printed. The error is a [*store.InvalidError].
func (s *Sum) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(s[:], text[:min(len(text), 2*len(s))]); err != nil || n != len(s) || len(text) != 2*len(s) {
		return &store.InvalidError{What: "check sum", Value: string(text), Reason: "want 64 hexadecimal digits"}
	}
	return nil
}

// Info says what is in a file.
type Info struct {
	// First and Last are the positions of the first event and of the last.
	First, Last store.Position
	// Commits, Events and Streams are how many there are.
	Commits, Events uint64
	Streams         int
	// From and To are the earliest and the latest time of a commit, in UTC.
	// Clocks differ, so the first commit need not have the earliest.
	From, To time.Time
	// Raw is the size of the commits uncompressed, Size that of the file, in bytes.
	Raw, Size int64
	// Sum is that of the whole file up to where it stands in the file itself.
	Sum Sum
}

// Span is what a file holds of one stream.
type Span struct {
	Stream store.StreamID
	// Before is the head that the stream's first commit in the file builds on,
	// Last the head after the last one.
	Before, Last store.Head
	// First and End are the places of these two commits in the total order.
	First, End uint64
	// Commits is how many there are, one after the other without a gap.
	Commits uint64
}

// FrameError says which part of a file is not what was written. It matches
// [store.ErrDamaged].
type FrameError struct {
	// Frame is the number of the part, from 0; Offset where it begins in the file.
	Frame  int
	Offset int64
	// First and Last are the sequences of its first commit and of its last.
	First, Last uint64
	Reason      error
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("frame %d at byte %d, with the commits at sequences %d to %d, is damaged: %v", e.Frame, e.Offset, e.First, e.Last, e.Reason)
}

// Unwrap makes the error match [store.ErrDamaged] and its reason.
func (e *FrameError) Unwrap() []error { return []error{store.ErrDamaged, e.Reason} }

// damaged says what is wrong with a file where no frame is concerned.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{store.ErrDamaged}, args...)...)
}
