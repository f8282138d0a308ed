package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/ledger"
)

// scribe writes down what a command does: a node, or else the log itself.
type scribe func(ctx context.Context, a ledger.Act) error

// recorded does something between two entries of the audit log. Without the first one nothing is
// done. If the second one cannot be written, that is said, and what was done stays done.
func (s *Session) recorded(ctx context.Context, write scribe, action, what string, do func() error) error {
	a := ledger.Act{ID: uuid.Must(uuid.NewV7()).String(), Action: action, What: what, By: s.by(""), Why: s.flags.why, At: time.Now(), Outcome: ledger.Begun}
	if err := s.record(ctx, write, a); err != nil {
		return s.unrecorded(ctx, err)
	}
	err := do()
	a.Outcome, a.At = ledger.Done, time.Now()
	if err != nil {
		a.Outcome = outcomeOf(err, explain(ctx, s, err).Code)
	}
	if unsaid := s.record(context.WithoutCancel(ctx), write, a); unsaid != nil {
		s.Logger().Warn("the outcome is not in the audit log", "action", action, "outcome", a.Outcome, "err", unsaid)
	}
	return err
}

// errUnrecorded matches what was not done because it could not be written down.
var errUnrecorded = errors.New("not in the audit log")

// unrecorded says why nothing was done: that the outcome is not known is true of the entry alone.
func (s *Session) unrecorded(ctx context.Context, err error) *Failure {
	f := &Failure{
		Code: codeNoAudit, Exit: console.ExitUnavailable, What: "nothing was done, for it cannot be written into the audit log", Why: err.Error(),
		Fix: "see whether a node runs, or whether this user may append to the log", Err: fmt.Errorf("%w: %w", errUnrecorded, err),
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		f.Code, f.Exit = codeInterrupted, console.ExitInterrupted
		return f
	}
	behind := s.refusalBehind(err)
	if behind == nil {
		return f
	}
	if refused := s.refused.about(controlled+recording, subscribed); refused != nil {
		f.Code, f.Exit, f.Why, f.Fix = codeNoPermit, console.ExitForbidden, serverSays+refused.Error(), otherUser
	} else {
		f.Code, f.Exit = codeNoPermit, console.ExitForbidden
		f.Why = "no node is there to write it down, and " + serverSays + strings.TrimPrefix(behind.Error(), serverSays)
		f.Fix = "start a node; or come as a user who may append to the log"
	}
	return f
}

// outcomeOf is that of what a command does itself, in steps: some may have been done, unless the error says
// that none was.
func outcomeOf(err error, code gateway.Code) string {
	if _, none := errors.AsType[*untouchedError](err); none {
		return ledger.Failed + string(code)
	}
	return ledger.Unknown + string(code)
}

// untouchedError is that of an act whose first step was not taken: it certainly had no effect.
type untouchedError struct{ reason error }

// Error implements error.
func (e *untouchedError) Error() string { return e.reason.Error() }

// Unwrap returns the reason.
func (e *untouchedError) Unwrap() error { return e.reason }

// untouched marks an error, if there is one, as that of an act that has done nothing.
func untouched(err error) error {
	if err == nil {
		return nil
	}
	return &untouchedError{err}
}

// ifRefused marks the error of an act's first step if it says that the step was refused.
func ifRefused(err error) error {
	if errors.Is(err, cluster.ErrNoNode) || errors.Is(err, cluster.ErrInvalid) {
		return untouched(err)
	}
	return err
}

// acting is recorded through a node, or without one in the log itself. An action that no node would write
// down is a mistake of the command's, which must not wait for a node to be found.
func (s *Session) acting(ctx context.Context, action, what string, do func() error) error {
	if !gateway.Recordable(action) {
		return fmt.Errorf("action %q is not one that nodes record", action)
	}
	write, err := s.throughNode(ctx)
	if err != nil {
		return err
	}
	return s.recorded(ctx, write, action, what, do)
}

// scribeOf writes as acting does, and in the log itself where its server runs in this process.
func (s *Session) scribeOf(ctx context.Context, at *site, log store.Log) (scribe, error) {
	if at.server != nil {
		return directly(ledger.New(log)), nil
	}
	return s.throughNode(ctx)
}

// copied records that a copy is made, and has it made also if that cannot be written down: what can be read is
// saved when the log takes nothing any more, and whoever may read it needs no command for that.
func (s *Session) copied(ctx context.Context, write scribe, action, what string, do func() error) error {
	began := false
	err := s.recorded(ctx, write, action, what, func() error {
		began = true
		return do()
	})
	if began {
		return err
	}
	if ctx.Err() == nil {
		why := err
		if f, ok := errors.AsType[*Failure](err); ok { // which says that nothing was done
			why = errors.New(f.Why)
		}
		s.Logger().Warn("this is not in the audit log", "action", action, "what", what, "err", why)
	}
	return do()
}

// acted records, in a log that was filled, that it was and since when: before it was whole it took no
// entry. A log that could not be filled is served by nobody, and has none.
func (s *Session) acted(ctx context.Context, log store.Log, action, what string, began time.Time) error {
	a := ledger.Act{ID: uuid.Must(uuid.NewV7()).String(), Action: action, What: what, By: s.by(""), Why: s.flags.why, At: began, Outcome: ledger.Begun}
	l := ledger.New(log)
	err := s.record(ctx, directly(l), a)
	if err == nil {
		a.Outcome, a.At = ledger.Done, time.Now()
		err = s.record(ctx, directly(l), a)
	}
	if err != nil {
		return &Failure{
			Code: codeNoAudit, Exit: console.ExitUnavailable, What: "it was done, and that is not in the audit log", Why: err.Error(),
			Fix: "nothing need be done again", Err: err,
		}
	}
	return nil
}

// actedIn is acted in a namespace that was filled, whose log is opened anew.
func (s *Session) actedIn(ctx context.Context, config jetstream.Config, action, what string, began time.Time) error {
	config.FilledFrom = ""
	log, err := jetstream.Open(ctx, config)
	if err != nil {
		return err
	}
	defer log.Close()
	return s.acted(ctx, log, action, what, began)
}

// directly has the log written by this process: nobody has seen who it is.
func directly(l *ledger.Ledger) scribe {
	return func(ctx context.Context, a ledger.Act) error {
		a.ID, a.By = gateway.RecordedID+a.ID, ledger.Claimed(a.By) // as a node would: one may have written its beginning
		return l.Record(ctx, a)
	}
}

func (s *Session) record(ctx context.Context, write scribe, a ledger.Act) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	return write(ctx, a)
}

// throughNode has a node write, so that whoever operates need not be allowed to append to the log. Without
// one it is tried all the same.
func (s *Session) throughNode(ctx context.Context) (scribe, error) {
	client, err := s.Client(ctx)
	if err != nil {
		return nil, err
	}
	var direct scribe
	return func(ctx context.Context, a ledger.Act) error {
		if direct == nil {
			err := s.throughClient(ctx, client, a)
			if !errors.Is(err, nats.ErrNoResponders) {
				return err
			}
			log, err := s.toRecord(ctx)
			if err != nil {
				return err
			}
			direct = directly(ledger.New(log))
		}
		return direct(ctx, a)
	}, nil
}

// throughClient asks again under the same id if there was no answer.
func (s *Session) throughClient(ctx context.Context, client *gateway.Client, a ledger.Act) error {
	err := s.refused.unlessRefused(ctx, recording, func(ctx context.Context) error { return client.Record(ctx, a) })
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = client.Record(ctx, a)
	}
	return err
}

// toRecord opens the log of the namespace to append to it.
func (s *Session) toRecord(ctx context.Context) (*jetstream.Log, error) {
	config, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	return jetstream.Open(ctx, config)
}
