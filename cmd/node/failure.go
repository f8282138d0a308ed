package node

import (
	"context"
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// Failure is an error told to people in three lines: what went wrong, why, and
// what to do about it. A command that returns any other error gets one made
// for it.
type Failure = console.Failure

// Usage returns the failure for a command line that is wrong.
func Usage(format string, args ...any) *Failure { return console.Usage(format, args...) }

// explain turns any error of a command into a failure.
func explain(ctx context.Context, s *Session, err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	// What waits for a server says as well that the server did not answer; an outcome that is not known is told.
	ended := errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted) ||
		errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown)
	if ended && errors.Is(context.Cause(ctx), errInterrupted) {
		return &Failure{Code: codeInterrupted, Exit: console.ExitInterrupted, What: "interrupted", Err: err}
	}
	if !s.prepared { // cobra's own complaint about the command line
		return &Failure{Code: console.CodeUsage, Exit: console.ExitUsage, What: err.Error(), Fix: "see: " + s.app.Name + " --help", Err: err}
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
	return &Failure{Code: console.CodeFailure, Exit: console.ExitFailure, What: err.Error(), Err: err}
}
