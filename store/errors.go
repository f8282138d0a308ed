package store

import (
	"errors"
	"fmt"
)

// What callers branch on. Each is matched with [errors.Is]; the struct types
// below carry the detail.
var (
	// ErrConflict: the log moved on; the commit was not stored and never will be.
	ErrConflict = errors.New("conflict")
	// ErrRefused: the commit was not stored and never will be, for another
	// reason than a conflict.
	ErrRefused = errors.New("refused")
	// ErrUnknown: it was tried, and whether it was stored is not known.
	ErrUnknown = errors.New("unknown outcome")
	// ErrUnavailable: the log could not be asked; nothing was stored by this call.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: what the caller passed can never be accepted.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: what the caller passed is over a limit.
	ErrTooLarge = errors.New("too large")
	// ErrDamaged: the log, a snapshot or another stored value is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrAhead: a snapshot or a checkpoint is beyond the log's end: the log
	// lost its end.
	ErrAhead = errors.New("ahead of the log")
	// ErrUnknownType: a wire name or schema version that this build does not know.
	ErrUnknownType = errors.New("unknown type")
	// ErrErased: personal data that a writer's state rests on were erased since it
	// was loaded; nothing was stored. Loading it again settles that.
	ErrErased = errors.New("personal data were erased")
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
)

// ConflictError says that a stream is not where the commit expected it.
type ConflictError struct {
	Stream   StreamID
	Expected uint64 // version that the commit was to follow
	Actual   uint64 // version that the stream has
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflict: %s is at version %d, expected %d", e.Stream, e.Actual, e.Expected)
}

// Unwrap makes the error match [ErrConflict].
func (e *ConflictError) Unwrap() error { return ErrConflict }

// RefusedError says that the log definitely did not store the commit.
type RefusedError struct {
	Stream StreamID
	Reason error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("append %s refused: %v", e.Stream, e.Reason)
}

// Unwrap makes the error match [ErrRefused] and its reason.
func (e *RefusedError) Unwrap() []error { return []error{ErrRefused, e.Reason} }

// UnknownError says that an append was tried and its outcome is not known. It
// may be stored already, or later. Sending the identical commit again is safe.
type UnknownError struct {
	Stream StreamID
	Reason error
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("append %s: outcome unknown: %v", e.Stream, e.Reason)
}

// Unwrap makes the error match [ErrUnknown] and its reason.
func (e *UnknownError) Unwrap() []error { return []error{ErrUnknown, e.Reason} }

// InvalidError names a value that can never be accepted, and why.
type InvalidError struct {
	What   string // what the value was meant to be, such as "aggregate id"
	Value  string // the value, shortened by Error when long
	Reason string
}

func (e *InvalidError) Error() string {
	const most = 64
	value := e.Value
	if len(value) > most {
		value = value[:most] + "…"
	}
	return fmt.Sprintf("invalid %s %q: %s", e.What, value, e.Reason)
}

// Unwrap makes the error match [ErrInvalid].
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// TooLargeError names a limit that a value exceeds.
type TooLargeError struct {
	What  string
	Size  int // in the unit of Limit; 0 when it was not measured to its end
	Limit int
}

func (e *TooLargeError) Error() string {
	if e.Size == 0 {
		return fmt.Sprintf("%s too large: over the limit of %d", e.What, e.Limit)
	}
	return fmt.Sprintf("%s too large: %d, limit %d", e.What, e.Size, e.Limit)
}

// Unwrap makes the error match [ErrTooLarge].
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// DamageError names the place where a stream is not what was written.
type DamageError struct {
	Stream   StreamID
	Version  uint64 // first version that cannot be trusted
	Sequence uint64 // the offending commit's place in the log, 0 if there is none or it is not known
	Reason   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged from version %d on (sequence %d): %s", e.Stream, e.Version, e.Sequence, e.Reason)
}

// Unwrap makes the error match [ErrDamaged].
func (e *DamageError) Unwrap() error { return ErrDamaged }

// AheadError says that something which rests on the log is beyond its end.
type AheadError struct {
	What string // "snapshot of application/1", "checkpoint of view outcomes"
	// Has is what it rests on, Log where the log, or the stream, ends. For a
	// stream both count in its log stream, as heads do.
	Has, Log Position
}

func (e *AheadError) Error() string {
	return fmt.Sprintf("%s is at position %d, but the log ends at %d: the log lost its end", e.What, e.Has, e.Log)
}

// Unwrap makes the error match [ErrAhead].
func (e *AheadError) Unwrap() error { return ErrAhead }

// UnknownTypeError names a wire type that this build does not know.
type UnknownTypeError struct {
	What   string // "event", "command", "aggregate"
	Name   string
	Schema int // 0 where schemas play no part
}

func (e *UnknownTypeError) Error() string {
	if e.Schema == 0 {
		return fmt.Sprintf("unknown %s type %q", e.What, e.Name)
	}
	return fmt.Sprintf("unknown %s type %q in schema version %d", e.What, e.Name, e.Schema)
}

// Unwrap makes the error match [ErrUnknownType].
func (e *UnknownTypeError) Unwrap() error { return ErrUnknownType }
