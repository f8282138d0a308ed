package actor

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/annals-go/annals/store"
)

// What a sender branches on, beside the errors of package store. After
// [ErrRejected], [ErrBusy], [ErrDeadline] and [ErrDuplicateBody] it is certain
// that the command stored nothing.
var (
	// ErrRejected: the domain said no.
	ErrRejected = errors.New("rejected")
	// ErrBusy: a queue is full; try again later.
	ErrBusy = errors.New("busy")
	// ErrDeadline: the sender's time was over before the command's turn came.
	ErrDeadline = errors.New("deadline exceeded")
	// ErrDuplicateBody: the command id belongs to another command.
	ErrDuplicateBody = errors.New("command id used with another body")
	// ErrInternal: the aggregate's own code failed.
	ErrInternal = errors.New("internal error")
	// ErrMoved: this system does not serve the partition, or no more. It matches
	// [store.ErrUnavailable].
	ErrMoved = fmt.Errorf("%w: the partition is served elsewhere", store.ErrUnavailable)
)

// RejectedError carries the domain's reason for saying no.
type RejectedError struct {
	Stream  store.StreamID
	Command string
	Reason  error // what Decide returned
}

// Error is the domain's own text: it reaches the person who sent the command.
func (e *RejectedError) Error() string { return e.Reason.Error() }

// Unwrap makes the error match [ErrRejected] and the domain's reason.
func (e *RejectedError) Unwrap() []error { return []error{ErrRejected, e.Reason} }

// DuplicateBodyError names the command id that came with two bodies.
type DuplicateBodyError struct {
	Stream store.StreamID
	ID     string
}

func (e *DuplicateBodyError) Error() string {
	return fmt.Sprintf("command id %q of %s was used with another body", e.ID, e.Stream)
}

// Unwrap makes the error match [ErrDuplicateBody].
func (e *DuplicateBodyError) Unwrap() error { return ErrDuplicateBody }

// PanicError is a panic in an aggregate's Decide, Evolve or Merge, or in a step
// from an older schema.
type PanicError struct {
	Stream store.StreamID
	In     string // "decide", "evolve", "merge", "encode" or "upcast"
	// Event and Schema are the wire name and schema version of the stored event that
	// was read, if it was one; Version is its own, if it is known.
	Event   string
	Schema  int
	Version uint64
	Value   any
	Stack   []byte
}

func (e *PanicError) Error() string {
	text := "internal error: " + e.In
	if e.Stream != (store.StreamID{}) {
		text += " of " + e.Stream.String()
	}
	if e.Version > 0 {
		text += fmt.Sprintf(" version %d", e.Version)
	}
	if e.Event != "" {
		text += fmt.Sprintf(" (event %s v%d)", e.Event, e.Schema)
	}
	return text + " panicked"
}

// LogTo logs the panic with its value and its stack.
func (e *PanicError) LogTo(l *slog.Logger) {
	l.Error("aggregate panicked", "stream", e.Stream.String(), "in", e.In, "event", e.Event, "schema", e.Schema, "version", e.Version,
		"panic", e.Value, "stack", string(e.Stack))
}

// Unwrap makes the error match [ErrInternal].
func (e *PanicError) Unwrap() error { return ErrInternal }

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
