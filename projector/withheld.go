package projector

import (
	"fmt"
	"runtime/debug"
)

// withheld is an error whose text may tell something personal, and so is not told: not
// to logs, not in dead letters, not to those who ask. What it matches is as before.
type withheld struct{ reason error }

func (w withheld) Error() string {
	return fmt.Sprintf("withheld, for it may tell personal data: an error of type %T", w.reason)
}

// Unwrap returns the error itself.
func (w withheld) Unwrap() error { return w.reason }

// withhold returns an error that tells no more than of which type it is, and of a panic
// where it was.
func withhold(err error) error {
	switch e := err.(type) { //nolint:errorlint // what is wrapped deeper is withheld with what wraps it
	case withheld:
		return e
	case *PanicError:
		return &PanicError{Value: fmt.Sprintf("withheld, for it may tell personal data: a value of type %T", e.Value), Stack: e.Stack}
	}
	return withheld{err}
}

// panicked is what a recovered value becomes.
func panicked(value any) *PanicError { return &PanicError{Value: value, Stack: debug.Stack()} }
