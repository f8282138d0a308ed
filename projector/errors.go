package projector

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// What callers branch on, beside the errors of package store.
var (
	// ErrNoView: the group runs no view of that name.
	ErrNoView = errors.New("no such view")
	// ErrTimeout: the view did not come as far as was asked in time.
	ErrTimeout = errors.New("timeout")
	// ErrBusy: too many wait for the view already.
	ErrBusy = errors.New("busy")
	// ErrStopped: the group has ended.
	ErrStopped = errors.New("projection stopped")
	// ErrElsewhere: the view does not run in this group, but perhaps in another's.
	// It matches [store.ErrUnavailable]: who asks again, or elsewhere, may be answered.
	ErrElsewhere = fmt.Errorf("%w: view runs elsewhere", store.ErrUnavailable)
	// ErrRebuilding: the view is built again, and not as far yet as was asked. It
	// matches [store.ErrUnavailable]: who asks again later is answered.
	ErrRebuilding = fmt.Errorf("%w: view is being rebuilt", store.ErrUnavailable)
	// ErrPaused: the view is paused, and not as far as was asked.
	ErrPaused = errors.New("view is paused")
	// ErrCandidate: a model is built, or was, beside the live one, and is to be
	// served or given up first.
	ErrCandidate = errors.New("there is a candidate already")
	// ErrNoCandidate: no model is built beside the live one.
	ErrNoCandidate = errors.New("no candidate")
	// ErrNoPrevious: there is no model to go back to.
	ErrNoPrevious = errors.New("no previous model")
	// ErrSwitched: another model of the view took the place of the one that was
	// watched, and has other documents. The watcher is to begin with After 0, and with
	// Min where it was.
	ErrSwitched = errors.New("view was switched")
	// ErrFenced: the checkpoint is not the one that the writer knows: another
	// writer took the view over.
	ErrFenced = errors.New("fenced")
	// ErrNoLetter: no stream is parked under that id.
	ErrNoLetter = errors.New("no such dead letter")
	// ErrTooManyParked: [Config.MaxParked] streams are parked already, and the next
	// one that should be stops its worker.
	ErrTooManyParked = errors.New("too many parked streams")
	// ErrUnfinished: a retry of another stream was interrupted after documents of it
	// were stored, and has to be finished first.
	ErrUnfinished = errors.New("another stream's retry is not finished")
	// ErrRemains: the store did what it can to clean its files, and it is for others to do
	// the rest, see [Scrubber].
	ErrRemains = errors.New("what was deleted remains in part")
	// ErrNoDocuments: the view keeps none that could be asked for so.
	ErrNoDocuments = fmt.Errorf("%w: view has no documents", store.ErrInvalid)
	// ErrNoTables: the view keeps no tables of its own.
	ErrNoTables = fmt.Errorf("%w: view has no tables", store.ErrInvalid)
)

// ElsewhereError says that what was asked of a view is for one of its workers, which
// does not run in this group.
type ElsewhereError struct {
	View string
	// Duty is the worker's, see [Duty]: whoever has it can be asked the same.
	Duty string
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("view %s: %v, where %s is", e.View, ErrElsewhere, e.Duty)
}

// Unwrap makes the error match [ErrElsewhere].
func (e *ElsewhereError) Unwrap() error { return ErrElsewhere }

// TimeoutError says how far a view had come when waiting for it ended.
type TimeoutError struct {
	View string
	Want store.Position
	Has  store.Position
	// Reason is why the view is held up, nil if it is merely not there yet.
	Reason error
	// Cause is how the wait ended: the context's error.
	Cause error
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("timeout: view %s is at position %d, wanted %d", e.View, e.Has, e.Want)
	if e.Reason != nil {
		text += ": " + e.Reason.Error()
	}
	return text
}

// Unwrap makes the error match [ErrTimeout] and the context's error.
func (e *TimeoutError) Unwrap() []error { return []error{ErrTimeout, e.Cause} }

// RebuildingError says that a view was still being built again, in place, when
// the caller's time was up.
type RebuildingError struct {
	Model Model
	// Has is how far it had come.
	Has store.Position
	// Cause is how the wait ended: the context's error.
	Cause error
}

func (e *RebuildingError) Error() string {
	return fmt.Sprintf("%v: %s is at position %d", ErrRebuilding, e.Model, e.Has)
}

// Unwrap makes the error match [ErrRebuilding] and the context's error.
func (e *RebuildingError) Unwrap() []error { return []error{ErrRebuilding, e.Cause} }

// ParityError refuses to make a candidate the live model.
type ParityError struct {
	Candidate Model
	// Behind says that the candidate has not caught up.
	Behind bool
	// Parity is how it compared with the live model; nil if that was asked for and
	// has not been done yet.
	Parity *Parity
}

func (e *ParityError) Error() string {
	switch {
	case e.Behind:
		return fmt.Sprintf("candidate %s has not caught up", e.Candidate)
	case e.Parity == nil:
		return fmt.Sprintf("candidate %s has not been compared with the live model yet", e.Candidate)
	}
	return fmt.Sprintf("candidate %s differs from the live model in %d of %d documents", e.Candidate, e.Parity.Differences, e.Parity.Compared)
}

// EventError names the event that a projection cannot get past.
type EventError struct {
	View     string
	Stream   store.StreamID
	Version  uint64
	Position store.Position
	Type     string // the event's wire name
	// Kind is one of the Kind constants.
	Kind   string
	Reason error

	personal bool // the event holds something personal
}

func (e *EventError) Error() string {
	return fmt.Sprintf("view %s stopped at %s version %d (position %d, event %s): %v",
		e.View, e.Stream, e.Version, e.Position, e.Type, e.Reason)
}

// Unwrap makes the error match its reason.
func (e *EventError) Unwrap() error { return e.Reason }

// PanicError is the reason of an [EventError] when a function of the definition
// panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// DivergedError says that the log holds another commit at a checkpoint's
// position than the one that was applied: it lost its end and grew again.
type DivergedError struct {
	View     string
	Position store.Position
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("view %s was built from another commit at position %d: the log lost its end and grew again", e.View, e.Position)
}

// Unwrap makes the error match [store.ErrAhead].
func (e *DivergedError) Unwrap() error { return store.ErrAhead }

// RedefinedError says that a view follows other aggregate types than when its
// read model was built, so that what is missing would never come, or that its
// work was shared by another number of workers. Raise the version, or rebuild.
type RedefinedError struct {
	View     string
	Was, Now []string
	// WasWorkers and NowWorkers are set if it is they that differ.
	WasWorkers, NowWorkers int
}

func (e *RedefinedError) Error() string {
	if e.WasWorkers != e.NowWorkers {
		return fmt.Sprintf("view %s was built by %d workers and now has %d: rebuild it or give it a new version", e.View, e.WasWorkers, e.NowWorkers)
	}
	return fmt.Sprintf("view %s was built from types %v and now follows %v: give it a new version", e.View, e.Was, e.Now)
}

// Unwrap makes the error match [store.ErrInvalid].
func (e *RedefinedError) Unwrap() error { return store.ErrInvalid }

// refusal is an error that concerns who asked, and not the worker that was asked.
type refusal struct{ error }

// Unwrap returns the error itself.
func (e refusal) Unwrap() error { return e.error }

// blamed returns the event that an attempt ended at, nil if it was not an event's
// fault: neither what a handler says to be unavailable or not to be known, nor what
// the store says of itself while a handler ran.
func blamed(err error) *EventError {
	var stopped *EventError
	switch {
	case !errors.As(err, &stopped), errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrUnknown):
		return nil
	}
	for _, kind := range []error{ErrFenced, store.ErrDamaged} {
		if errors.Is(err, kind) && !errors.Is(stopped, kind) {
			return nil
		}
	}
	return stopped
}
