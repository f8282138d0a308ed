package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// Recorder writes down what operators do: a node's audit log.
type Recorder interface {
	// Record writes down an act, once for each a.ID and whether it begins or ends. It is bounded in time.
	Record(ctx context.Context, a ledger.Act) error
}

// reasoned is the body of a request that may give a reason.
type reasoned interface {
	// because has the reason be what the audit log keeps of it. The error says what is wrong with it.
	because() error
}

// tidied is [ledger.Reason] in place.
func tidied(why *string) (err error) {
	*why, err = ledger.Reason(*why)
	return err
}

// recordTime bounds how long an act waits until its beginning is recorded, and an answer until its
// end is.
const recordTime = 3 * time.Second

// acted is what the body of a request says of an act.
type acted interface {
	// act returns what it is about, who asks, once it is signed, and the reason that was given.
	act() (what, by, why string)
}

// recorded does something that an operator asks for, between two entries of the audit log. Without the first
// one nothing is done: the error matches [store.ErrUnavailable]. What was done stays done if the
// second one cannot be written; the node's log says so.
func (g *Gateway) recorded(ctx context.Context, r reading, ask any, do func() (any, error)) (any, error) {
	if !g.records(r) {
		return do()
	}
	a := g.actOf(r, ask)
	if err := g.begin(ctx, a); err != nil {
		return nil, err
	}
	v, err := do()
	if err != nil {
		err = uncertain(err) // before it is written down
	}
	g.end(ctx, a, err)
	return v, err
}

// records reports whether this node writes down what a request comes to. The node that took it in does,
// which knows who asks and may append to the log; one that it was passed on to need not.
func (g *Gateway) records(r reading) bool {
	return r.changes && g.config.Recorder != nil && !r.request.endpoint.passed
}

func (g *Gateway) actOf(r reading, ask any) ledger.Act {
	a := ledger.Act{ID: uuid.Must(uuid.NewV7()).String(), Action: r.request.verb(), At: time.Now(), Node: g.config.Node}
	if said, ok := ask.(acted); ok {
		a.What, a.By, a.Why = said.act()
	}
	return a
}

// by is who asks: the principal that is known, whatever was said, or else what was said, as that.
func (r *request) by(said string) string {
	if r.who.Principal != "" {
		return r.who.Principal
	}
	return ledger.Claimed(said)
}

// begin records that an act is about to be done.
func (g *Gateway) begin(ctx context.Context, a ledger.Act) error {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	a.Outcome = ledger.Begun
	return notRecorded(g.config.Recorder.Record(ctx, a))
}

// notRecorded is what it means for an act that it cannot be recorded. The cause is text: where it says
// that an outcome is unknown, it speaks of the entry and not of the act.
func notRecorded(err error) error {
	if err == nil {
		return nil
	}
	return &unrecordedError{cause: err.Error()}
}

// unrecordedError says that nothing was done, for it could not have been recorded.
type unrecordedError struct{ cause string }

func (e *unrecordedError) Error() string {
	return "nothing was done, for it cannot be written into the audit log: " + e.cause
}

// Unwrap makes the error match [store.ErrUnavailable].
func (e *unrecordedError) Unwrap() error { return store.ErrUnavailable }

// end records what came of an act. Of an error only the code is kept: its text may hold anything.
func (g *Gateway) end(ctx context.Context, a ledger.Act, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	a.Outcome, a.At = ledger.Done, time.Now()
	if err != nil {
		a.Outcome = Outcome(answerTo(err).Code)
	}
	if err := g.config.Recorder.Record(ctx, a); err != nil {
		g.config.Logger.Error("end of an act not recorded", "action", a.Action, "id", a.ID, "outcome", a.Outcome, "err", err)
	}
}

// Outcome is what the audit log has of an act that ended with an error: that it failed, if it had
// certainly no effect, and otherwise that this is not known.
func Outcome(code Code) string {
	switch code {
	case CodeUnknownOutcome, CodeForgetUnfinished:
		return ledger.Unknown + string(code)
	}
	return ledger.Failed + string(code)
}

// The acts of operations on views.

// signed puts who asks in the place of what was said about that.
func (r *viewRequest) signed(by func(said string) string) { r.By = by(r.By) }

func (r *viewRequest) because() error { return tidied(&r.Why) }

// because takes the reason by the name that all operations have for it, too.
func (r *skipRequest) because() error {
	if err := errors.Join(tidied(&r.Reason), tidied(&r.Why)); err != nil {
		return err
	}
	if r.Reason != "" && r.Why != "" {
		return &store.InvalidError{What: "why", Reason: "it is the same as reason: give one of them"}
	}
	r.Reason, r.Why = r.Reason+r.Why, ""
	if r.Reason == "" {
		return &store.InvalidError{What: "reason", Reason: "it is needed: it is all that is left to explain what is missing"}
	}
	return nil
}

func (r viewRequest) act() (what, by, why string)   { return r.View, r.By, r.Why }
func (r letterRequest) act() (what, by, why string) { return r.View + "/" + r.ID, r.By, r.Why }
func (r skipRequest) act() (what, by, why string) {
	return r.View + "/" + r.ID, r.By, r.Reason
}
