package console

import (
	"fmt"
	"strings"

	"github.com/annals-go/annals/gateway"
)

// Exit codes. Scripts rely on them: they are permanent.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitConflict    = 4
	ExitUnavailable = 5
	// ExitDegraded is that of a check that found something.
	ExitDegraded    = 6
	ExitForbidden   = 7
	ExitInterrupted = 130
)

const (
	// CodeUsage is the code of [Usage].
	CodeUsage gateway.Code = "USAGE"
	// CodeFailure is that of a failure of no kind that has a code of its own.
	CodeFailure gateway.Code = "FAILURE"
)

// Failure is an error told to people in three lines: what went wrong, why, and
// what to do about it. A command that returns any other error gets one made
// for it.
type Failure struct {
	// Code is the constant name of the kind of failure, such as
	// [gateway.CodeNotFound].
	Code gateway.Code
	// Exit is the exit code.
	Exit int
	// What, Why and Fix are one line each; Why and Fix may be empty.
	What, Why, Fix string
	// Err is the cause; may be nil.
	Err error
}

func (f *Failure) Error() string {
	if f.Why == "" {
		return f.What
	}
	return f.What + ": " + f.Why
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Usage returns the failure for a command line that is wrong.
func Usage(format string, args ...any) *Failure {
	return &Failure{Code: CodeUsage, Exit: ExitUsage, What: fmt.Sprintf(format, args...)}
}

// Tell prints f on the console's Err. An interrupt says nothing: the user knows.
func Tell(c *Console, f *Failure) {
	if f.Exit == ExitInterrupted {
		return
	}
	fmt.Fprintf(c.Err(), "%s %s [%s]\n", c.Style(c.Err()).Bad("error:"), oneLine(f.What), f.Code)
	if f.Why != "" {
		fmt.Fprintf(c.Err(), "  why: %s\n", oneLine(f.Why))
	}
	if f.Fix != "" {
		fmt.Fprintf(c.Err(), "  fix: %s\n", oneLine(f.Fix))
	}
}

// oneLine keeps a message, part of which may come from anywhere, on its line.
func oneLine(text string) string {
	return Printable(strings.TrimSpace(strings.ReplaceAll(text, "\n", "; ")))
}
