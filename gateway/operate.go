package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Operator changes, repairs and verifies one view, on whichever node runs it.
// It may be used from many goroutines.
//
// Its errors are [*Error]. One that matches [store.ErrUnknown] leaves open
// whether a change took effect: look with Info, DeadLetters or Skipped. After
// all others of a change it did not. Any method's error may match
// projector.ErrNoView or [store.ErrUnavailable].
type Operator struct {
	client *Client
	view   string
	by     string
	why    string
}

// As returns o in the name of somebody, for the audit log. A name that the nodes know by a token or
// a subject counts more.
func (o Operator) As(by string) Operator {
	o.by = by
	return o
}

// Because returns o with the reason for what it changes, for the audit log: at most 1,024 bytes. With a longer
// one nothing is done, and the error matches [store.ErrTooLarge]. A letter that is skipped has its own.
func (o Operator) Because(why string) Operator {
	o.why = why
	return o
}

// Operator returns the operator of a view. It asks nobody.
func (c *Client) Operator(view string) Operator { return Operator{client: c, view: view} }

// look asks something that changes nothing.
func (o Operator) look(ctx context.Context, verb string, ask, answer any) error {
	if err := store.ValidateName("view", o.view); err != nil {
		return err
	}
	return o.client.ask(ctx, o.client.subjects.control(verb), nats.Header{}, ask, answer)
}

// change asks for a change. One that got no answer may have been made, unless
// nobody was there.
func (o Operator) change(ctx context.Context, verb string, ask, answer any) error {
	err := o.look(ctx, verb, ask, answer)
	if e, ok := errors.AsType[*Error](err); ok && e.Inferred && !errors.Is(err, nats.ErrNoResponders) {
		return inferred(CodeUnknownOutcome, e.cause, "whether %s of view %s was carried out is not known", verb, o.view).final()
	}
	return err
}

func (o Operator) viewRequest() viewRequest { return viewRequest{View: o.view, By: o.by, Why: o.why} }

// changed asks for a change and returns how the view stands then.
func (o Operator) changed(ctx context.Context, verb string, ask any) (Projection, error) {
	var r projectionResponse
	err := o.change(ctx, "projection."+verb, ask, &r)
	return r.Projection, err
}

// Info returns how the view's models stand.
func (o Operator) Info(ctx context.Context) (Projection, error) {
	var r projectionResponse
	err := o.look(ctx, "projection.info", o.viewRequest(), &r)
	return r.Projection, err
}

// Rebuild begins to build the view again from the first event, and returns the
// model that is built. Info tells how it comes along.
func (o Operator) Rebuild(ctx context.Context, r projector.Rebuild) (projector.Model, error) {
	var answer modelResponse
	err := o.change(ctx, "projection.rebuild", rebuildRequest{o.viewRequest(), r}, &answer)
	return answer.Model, err
}

// Promote has the candidate served instead of the live model. Unless force, the
// error matches [ErrParity] if it is behind or differs. It matches
// projector.ErrNoCandidate if there is none.
func (o Operator) Promote(ctx context.Context, force bool) (Projection, error) {
	return o.changed(ctx, "promote", promoteRequest{o.viewRequest(), force})
}

// Rollback has the previous model served again. The error matches
// projector.ErrNoPrevious if there is none.
func (o Operator) Rollback(ctx context.Context) (Projection, error) {
	return o.changed(ctx, "rollback", o.viewRequest())
}

// Cancel drops the candidate. The error matches projector.ErrNoCandidate if there
// is none.
func (o Operator) Cancel(ctx context.Context) (Projection, error) {
	return o.changed(ctx, "cancel", o.viewRequest())
}

// Retire drops the previous model. The error matches projector.ErrNoPrevious if
// there is none.
func (o Operator) Retire(ctx context.Context) (Projection, error) {
	return o.changed(ctx, "retire", o.viewRequest())
}

// Pause stops bringing the view up to date; it is served as it is.
func (o Operator) Pause(ctx context.Context) (Projection, error) {
	return o.changed(ctx, "pause", o.viewRequest())
}

// Resume goes on after Pause.
func (o Operator) Resume(ctx context.Context) (Projection, error) {
	return o.changed(ctx, "resume", o.viewRequest())
}

// Rewind has the events after position p applied once more; 0 is the beginning.
// The error matches [store.ErrInvalid] for a view of documents, which can be
// rebuilt.
func (o Operator) Rewind(ctx context.Context, p store.Position) (Projection, error) {
	return o.changed(ctx, "rewind", rewindRequest{o.viewRequest(), &p})
}

// Verify compares the view's checkpoints with the log, and if documents is set
// each document with what the log folds to. It reads the view's part of the log
// once more: give it time.
func (o Operator) Verify(ctx context.Context, documents bool) (projector.Verification, error) {
	var r verificationResponse
	err := o.look(ctx, "projection.verify", verifyRequest{o.viewRequest(), documents}, &r)
	return r.Verification, err
}

// DeadLetters yields the streams that are parked, in the order of the events
// that they wait at, without what was edited. The last pair has the error, if
// any.
func (o Operator) DeadLetters(ctx context.Context) iter.Seq2[projector.DeadLetter, error] {
	return pages("", func(cursor string) ([]projector.DeadLetter, string, error) {
		var r lettersResponse
		err := o.look(ctx, "dlq.ls", pageRequest{viewRequest: o.viewRequest(), Cursor: cursor}, &r)
		return r.Letters, r.Next, err
	})
}

// Skipped yields the events that were left out, likewise.
func (o Operator) Skipped(ctx context.Context) iter.Seq2[projector.Skipped, error] {
	return pages("", func(cursor string) ([]projector.Skipped, string, error) {
		var r skippedResponse
		err := o.look(ctx, "dlq.skipped", pageRequest{viewRequest: o.viewRequest(), Cursor: cursor}, &r)
		return r.Skipped, r.Next, err
	})
}

// DeadLetter returns a dead letter and the first events that wait in it, at most
// limit and 1,000 and as many as an answer takes; limit 0 is 1,000. The error
// matches projector.ErrNoLetter if there is none.
func (o Operator) DeadLetter(ctx context.Context, id string, limit int) (projector.DeadLetter, []LetterEvent, error) {
	var r letterResponse
	err := o.look(ctx, "dlq.get", letterEventsRequest{o.letterRequest(id), limit}, &r)
	return r.Letter, r.Events, err
}

func (o Operator) letterRequest(id string) letterRequest { return letterRequest{o.viewRequest(), id} }

// Retry applies the events that wait, in order. It returns nil if the stream is
// not parked any more, and otherwise the letter as it is now. The error matches
// projector.ErrNoLetter if there is none.
func (o Operator) Retry(ctx context.Context, id string) (*projector.DeadLetter, error) {
	var r releasedResponse
	err := o.change(ctx, "dlq.retry", o.letterRequest(id), &r)
	return r.Letter, err
}

// Edit replaces, for this view, the data of the event of version at, which the
// letter waits at, by JSON in the wire form of its type. The log keeps what it
// has. It takes effect at the next Retry. The error matches [store.ErrConflict]
// if the letter waits at another event.
func (o Operator) Edit(ctx context.Context, id string, at uint64, data json.RawMessage, by string) (projector.DeadLetter, error) {
	var r letterResponse
	err := o.change(ctx, "dlq.edit", editRequest{o.repairRequest(id, at, by), data}, &r)
	return r.Letter, err
}

func (o Operator) repairRequest(id string, at uint64, by string) repairRequest {
	return repairRequest{o.As(by).letterRequest(id), at}
}

// Skip leaves the event of version at, which the letter waits at, out of the
// view for good, and goes on as Retry does. Reason and by are recorded; a reason is
// needed, of at most 1,024 bytes, and stands in the place of one of Because. The error matches
// [store.ErrConflict] if the letter waits at another event.
func (o Operator) Skip(ctx context.Context, id string, at uint64, reason, by string) (*projector.DeadLetter, error) {
	var r releasedResponse
	err := o.change(ctx, "dlq.skip", skipRequest{o.Because("").repairRequest(id, at, by), reason}, &r)
	return r.Letter, err
}
