package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// maxDescriptionBytes bounds the text of an error answer: it also travels in a
// header.
const maxDescriptionBytes = 1024

// Error is an error answer, on both sides of the wire. It matches, with
// [errors.Is], the sentinel that the server's own error matched, such as
// [store.ErrConflict] or actor.ErrRejected.
type Error struct {
	Type string `json:"type"`
	// Status is the number of the code, as in Nats-Service-Error-Code.
	Status int  `json:"code"`
	Code   Code `json:"err_code"`
	// Description is the server's text: for a rejection the domain's own.
	Description string `json:"description"`
	// Retryable: the same request, with the same command id, may succeed later.
	Retryable bool `json:"retryable"`
	// Details are numbers that a program may act on, such as actual_version.
	Details map[string]uint64 `json:"details,omitempty"`

	// Inferred is set by the client when no server said this: it is what the
	// client concludes from having got no answer.
	Inferred bool `json:"-"`

	cause error
}

// Error is the description.
func (e *Error) Error() string { return e.Description }

// Unwrap makes the error match the code's sentinel and, when it was inferred,
// what it was inferred from.
func (e *Error) Unwrap() []error {
	r, _ := ruleFor(e.Code, e.Status)
	if e.cause == nil {
		return []error{r.sentinel}
	}
	return []error{r.sentinel, e.cause}
}

// CodeOf returns the code under which err goes over the wire, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return answerTo(err).Code
}

// ErrorOf returns err as it goes over the wire; nil for nil. The text of an
// internal error stays with whoever has err: it may hold anything.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	return answerTo(err)
}

// answerTo turns an error of the node into the answer that tells it. The text
// of an internal error stays in the node's log: it may hold anything.
func answerTo(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	r := ruleOf(err)
	e := &Error{Type: typeError, Status: r.status, Code: r.code, Description: oneLine(err.Error()), Retryable: r.retryable, Details: detailsOf(err)}
	if r.code == CodeInternal {
		e.Description = "internal error; the node's log has the details"
	}
	return e
}

// retryAfter is the detail that says in how many milliseconds to ask again.
const retryAfter = "retry_after_ms"

// RetryAfter is how long to wait before the same is asked again, 0 if the answer
// does not say.
func (e *Error) RetryAfter() time.Duration {
	return time.Duration(min(e.Details[retryAfter], uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
}

// pause is how long to rest before the same is asked again, of which half is waited at
// least: usual, or as long as the answer says. False: ctx ends before that.
func (e *Error) pause(ctx context.Context, usual time.Duration) (pause time.Duration, can bool) {
	after := e.RetryAfter()
	deadline, bounded := ctx.Deadline()
	return max(usual, 2*after), after == 0 || !bounded || time.Until(deadline) > after
}

// lackingRetry is when to ask again where a node lacks a wrapping key: no sooner than
// an operator, whom that waits for, can have given it one.
const lackingRetry = time.Minute

func detailsOf(err error) map[string]uint64 {
	if c, ok := errors.AsType[*store.ConflictError](err); ok {
		return map[string]uint64{"expected_version": c.Expected, "actual_version": c.Actual}
	}
	if q, ok := errors.AsType[*QuotaError](err); ok {
		details := map[string]uint64{"limit": uint64(q.Limit)}
		if !q.Until.IsZero() {
			details[retryAfter] = q.wait()
		}
		return details
	}
	if _, lacks := errors.AsType[*privacy.WrappingError](err); lacks {
		return map[string]uint64{retryAfter: uint64(lackingRetry.Milliseconds())}
	}
	if t, ok := errors.AsType[*projector.TimeoutError](err); ok {
		return map[string]uint64{"wanted_position": uint64(t.Want), "reached_position": uint64(t.Has)}
	}
	if t, ok := errors.AsType[*LateError](err); ok {
		return map[string]uint64{"wanted_position": uint64(t.Want), "reached_position": uint64(t.least())}
	}
	if p, ok := errors.AsType[*projector.ParityError](err); ok && p.Parity != nil {
		return map[string]uint64{"compared": p.Parity.Compared, "differences": p.Parity.Differences}
	}
	return nil
}

// setHeaders writes the headers that every NATS service client knows.
func (e *Error) setHeaders(h nats.Header) {
	h.Set(micro.ErrorHeader, e.Description)
	h.Set(micro.ErrorCodeHeader, strconv.Itoa(e.Status))
	h.Set(HeaderError, string(e.Code))
}

// readError reads an error answer: nil if m is none. A foreign service's
// error, without a body of ours, is told by its headers.
func readError(m *nats.Msg) *Error {
	status := m.Header.Get(micro.ErrorCodeHeader)
	if status == "" {
		return nil
	}
	e := &Error{}
	if decodeReply(m, e) == nil && e.Code != "" {
		return e
	}
	number, _ := strconv.Atoi(status)
	r, _ := ruleFor(Code(m.Header.Get(HeaderError)), number)
	return &Error{Type: typeError, Status: number, Code: r.code, Description: m.Header.Get(micro.ErrorHeader), Retryable: r.retryable}
}

// inferred is an error that the client concludes without an answer; cause may
// be nil.
func inferred(code Code, cause error, format string, args ...any) *Error {
	r, _ := ruleFor(code, 0)
	e := &Error{Type: typeError, Status: r.status, Code: code, Retryable: r.retryable, Inferred: true, cause: cause}
	e.Description = fmt.Sprintf(format, args...)
	if cause != nil {
		e.Description += ": " + cause.Error()
	}
	return e
}

// final marks an inferred error as one that no repetition changes.
func (e *Error) final() *Error {
	e.Retryable = false
	return e
}

// oneLine makes a text fit for a header: no control characters, bounded.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxDescriptionBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxDescriptionBytes-len("…")], "") + "…"
}
