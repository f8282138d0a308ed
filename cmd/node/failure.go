package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
	exitForbidden   = 7
	exitInterrupted = 130
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

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
	return &Failure{Code: codeUsage, Exit: exitUsage, What: fmt.Sprintf(format, args...)}
}

// write prints f on the session's stream for talk. An interrupt says nothing:
// the user knows.
func (f *Failure) write(s *Session) {
	if f.Exit == exitInterrupted {
		return
	}
	fmt.Fprintf(s.Err(), "%s %s [%s]\n", s.style(s.Err()).bad("error:"), oneLine(f.What), f.Code)
	if f.Why != "" {
		fmt.Fprintf(s.Err(), "  why: %s\n", oneLine(f.Why))
	}
	if f.Fix != "" {
		fmt.Fprintf(s.Err(), "  fix: %s\n", oneLine(f.Fix))
	}
}

// oneLine keeps a message, part of which may come from anywhere, on its line.
func oneLine(text string) string {
	return printable(strings.TrimSpace(strings.ReplaceAll(text, "\n", "; ")))
}

// explain turns any error of a command into a failure.
func explain(ctx context.Context, s *Session, err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	// What waits for a server says as well that the server did not answer; an outcome that is not known is told.
	ended := errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted) ||
		errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown)
	if ended && errors.Is(context.Cause(ctx), errInterrupted) {
		return &Failure{Code: codeInterrupted, Exit: exitInterrupted, What: "interrupted", Err: err}
	}
	if !s.prepared { // cobra's own complaint about the command line
		return &Failure{Code: codeUsage, Exit: exitUsage, What: err.Error(), Fix: "see: " + s.app.Name + " --help", Err: err}
	}
	if p, ok := errors.AsType[*actor.PanicError](err); ok { // in this process: no node has logged it
		p.LogTo(s.Logger().With("err", err))
	}
	if f := s.notPermitted(err); f != nil {
		return f
	}
	if f := s.noNamespaceAnswered(ctx, err); f != nil {
		return f
	}
	if f := noAccess(err); f != nil {
		return f
	}
	for _, k := range kinds {
		if k.matches(err) {
			return &Failure{Code: k.code, Exit: k.exit, What: err.Error(), Fix: k.fixOf(s, err), Err: err}
		}
	}
	return &Failure{Code: codeFailure, Exit: exitFailure, What: err.Error(), Err: err}
}
