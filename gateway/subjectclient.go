package gateway

import (
	"context"
	"errors"
	"iter"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// Forget has a data subject forgotten, on all nodes, and returns the receipt: what is sealed for the subject
// can then be read by nobody, ever. It may be asked for again at any time. The error matches
// [ErrForgetUnfinished] if the key is given up but not every step after that was taken. It matches
// [store.ErrUnknown] if the key may be given up or not: ask again. So it is if there was no answer, or none that
// can be read, and also if a node answers that does not know itself, because the key store gave it no certain
// answer. That no node is there is [store.ErrUnavailable] and not that: nothing was done. A request without an
// ID gets one before it is sent, which is in the receipt also if there is an error: with it, asking again is the
// same erasure whatever was sealed for the subject meanwhile.
func (c *Client) Forget(ctx context.Context, r privacy.Request) (privacy.Receipt, error) {
	var answer receiptResponse
	if r.ID == uuid.Nil {
		r.ID = uuid.New()
	}
	ask := forgetRequest{subjectRequest{r.Subject}, r.By, r.Why, r.ID}
	err := c.ask(ctx, c.subjects.control("subject.forget"), nats.Header{}, ask, &answer)
	if e, ok := errors.AsType[*Error](err); ok && e.Inferred && !errors.Is(err, nats.ErrNoResponders) {
		err = inferred(CodeUnknownOutcome, e.cause, "whether %q was forgotten is not known", r.Subject)
	}
	if err != nil {
		return privacy.Receipt{Subject: r.Subject, ID: r.ID}, err
	}
	return answer.Receipt, nil
}

// Subject returns what is kept of a data subject's keys, without them.
func (c *Client) Subject(ctx context.Context, subject string) (Subject, error) {
	var answer subjectResponse
	err := c.ask(ctx, c.subjects.control("subject.get"), nats.Header{}, subjectRequest{subject}, &answer)
	return answer.Subject, err
}

// Forgotten yields the data subjects that were forgotten at least once, in the order of their ids. The
// last pair has the error, if any.
func (c *Client) Forgotten(ctx context.Context) iter.Seq2[Subject, error] {
	return pages("", func(cursor string) ([]Subject, string, error) { return c.ForgottenPage(ctx, cursor, 0) })
}

// ForgottenPage returns the forgotten data subjects whose ids follow after, at most limit, 1 to 100; 0: 100.
// next is what to ask for after them; empty: these were the last.
func (c *Client) ForgottenPage(ctx context.Context, after string, limit int) (subjects []Subject, next string, err error) {
	if limit == 0 {
		limit = maxSubjects
	}
	var answer erasuresResponse
	err = c.ask(ctx, c.subjects.control("subject.ls"), nats.Header{}, erasuresRequest{after, limit}, &answer)
	return answer.Subjects, answer.Next, err
}

// Record has a node write down what the caller does, once for each a.ID and whether it begins or
// ends. The error matches [store.ErrUnknown] if it got no answer: record it again.
func (c *Client) Record(ctx context.Context, a ledger.Act) error {
	var answer recordedResponse
	err := c.ask(ctx, c.subjects.control(recordOperation.verb), nats.Header{}, a, &answer)
	if e, ok := errors.AsType[*Error](err); ok && e.Inferred && !errors.Is(err, nats.ErrNoResponders) {
		return inferred(CodeUnknownOutcome, e.cause, "whether %s was recorded is not known", a.Action)
	}
	return err
}
