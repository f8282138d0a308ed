package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// forgetQuestion says why a person is to be forgotten. Who wants it the token says.
type forgetQuestion struct {
	Why string `json:"why"`
	// ID is the erasure's: a UUID, for a request that may be sent twice.
	ID string `json:"id"`
}

type receiptAnswer struct {
	Type string `json:"type"`
	privacy.Receipt
}

// forget has a person forgotten. Idempotency-Key and Annals-Command-Id are other names of the member id. A
// forgetting that takes longer than the request is FORGET_UNFINISHED: the nodes go on with it, and who asks again
// has the receipt. That error and UNKNOWN_OUTCOME have the id, as a member beside those of every error: who gave none can
// ask for the same.
func (a *api) forget(ctx context.Context, r *http.Request) (answer, error) {
	q, err := forgetOf(r)
	if err != nil {
		return answer{}, err
	}
	receipt, err := a.Client.Forget(ctx, q)
	if err != nil {
		return answer{}, begun(receipt.ID, a.impersonal(ctx, err))
	}
	return answer{body: receiptAnswer{Type: "io.annals.api.v1.subject_forget_response", Receipt: receipt}, position: receipt.Notice}, nil
}

// begunError is that of a forgetting that may have begun.
type begunError struct {
	id     uuid.UUID
	reason error
}

func (e *begunError) Error() string { return e.reason.Error() }
func (e *begunError) Unwrap() error { return e.reason }

func begun(id uuid.UUID, err error) error {
	switch gateway.CodeOf(err) {
	case gateway.CodeUnknownOutcome, gateway.CodeForgetUnfinished:
		return &begunError{id, err}
	}
	return err
}

// begunAnswer is the body of the error.
type begunAnswer struct {
	*gateway.Error
	ID uuid.UUID `json:"id"`
}

func forgetOf(r *http.Request) (f privacy.Request, err error) {
	if f.Subject, err = subjectOf(r); err != nil {
		return f, err
	}
	codec, err := codecOf(r)
	if err != nil {
		return f, err
	}
	body, err := bodyOf(r)
	if err != nil {
		return f, err
	}
	var q forgetQuestion
	if err = codec.Unmarshal(body, &q, true); err != nil {
		return f, err
	}
	f.Why = q.Why
	f.ID, err = erasureOf(q.ID, r.Header)
	return f, err
}

// erasureOf is the id of the erasure, by whatever name; zero if it has none.
func erasureOf(id string, h http.Header) (uuid.UUID, error) {
	for _, name := range []string{gateway.HeaderCommandID, "Idempotency-Key"} {
		also := h.Get(name)
		if id != "" && also != "" && id != also {
			return uuid.Nil, &store.InvalidError{What: "header " + name, Value: also, Reason: "another id is given, too"}
		}
		if id == "" {
			id = also
		}
	}
	if id == "" {
		return uuid.Nil, nil
	}
	u, err := uuid.Parse(id)
	if err != nil || u == uuid.Nil {
		return uuid.Nil, &store.InvalidError{What: "id", Value: id, Reason: "want a UUID"}
	}
	return u, nil
}

func subjectOf(r *http.Request) (string, error) {
	id := r.PathValue("id")
	_, err := store.EncodeToken(id)
	return id, err
}

type subjectAnswer struct {
	Type string `json:"type"`
	gateway.Subject
}

// subject answers whether a person has a key, and when it was forgotten.
func (a *api) subject(ctx context.Context, r *http.Request) (answer, error) {
	id, err := subjectOf(r)
	if err != nil {
		return answer{}, err
	}
	s, err := a.Client.Subject(ctx, id)
	if err != nil {
		return answer{}, a.impersonal(ctx, err)
	}
	return answer{body: subjectAnswer{Type: "io.annals.api.v1.subject_get_response", Subject: s}}, nil
}

type forgottenAnswer struct {
	Type     string            `json:"type"`
	Subjects []gateway.Subject `json:"subjects"`
	Next     string            `json:"next"`
}

// maxForgotten is more than a page may have; a limit that is out of range stays so, for the gateway to refuse.
const maxForgotten = 1 << 10

// forgotten answers who was forgotten, in the order of their ids, a page at a time: next is the parameter after of the
// next question, empty after the last page.
func (a *api) forgotten(ctx context.Context, r *http.Request) (answer, error) {
	limit, err := number(r, "limit")
	if err != nil {
		return answer{}, err
	}
	subjects, next, err := a.Client.ForgottenPage(ctx, r.URL.Query().Get("after"), int(min(limit, maxForgotten)))
	if err != nil {
		return answer{}, a.impersonal(ctx, err)
	}
	return answer{body: forgottenAnswer{Type: "io.annals.api.v1.subject_ls_response", Subjects: subjects, Next: next}}, nil
}

// impersonal tells a system without personal data from one that is not there.
func (a *api) impersonal(ctx context.Context, err error) error {
	if !errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	if _, asked := a.Client.Info(ctx); asked != nil {
		return err
	}
	return fmt.Errorf("%w: there are no personal data here", store.ErrNotFound)
}

// byName has a question answered only where its asker is known: what is done to persons is done by somebody.
func (a *api) byName(next handler) handler {
	return func(ctx context.Context, r *http.Request) (answer, error) {
		if a.Tokens == nil {
			return answer{}, fmt.Errorf("%w: this is for those who show a token, and none are looked at here", gateway.ErrForbidden)
		}
		return next(ctx, r)
	}
}
