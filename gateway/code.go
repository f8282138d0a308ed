package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Code says on the wire what kind of error an answer is. Codes are permanent:
// clients of any language branch on them. They travel as err_code in the body
// and in the header Annals-Error; the number beside each is the
// Nats-Service-Error-Code.
type Code string

// The codes. After all of them but [CodeUnknownOutcome] it is certain that
// this request stored nothing.
const (
	// CodeInvalid (400): malformed; the same request can never succeed.
	CodeInvalid Code = "INVALID"
	// CodeUnauthenticated (401): it is not known who asks, or the token is none of
	// those that are known here.
	CodeUnauthenticated Code = "UNAUTHENTICATED"
	// CodeForbidden (403): the asker may not do this.
	CodeForbidden Code = "FORBIDDEN"
	// CodeUnknownType (404): no such aggregate type or command.
	CodeUnknownType Code = "UNKNOWN_TYPE"
	// CodeUnknownView (404): no such view.
	CodeUnknownView Code = "UNKNOWN_VIEW"
	// CodeNotFound (404): no such aggregate instance or document.
	CodeNotFound Code = "NOT_FOUND"
	// CodeConflict (409): the stream is not at the expected version. The body's
	// details name the expected and the actual version.
	CodeConflict Code = "CONFLICT"
	// CodeCommandIDReused (409): the command id was used with another body.
	CodeCommandIDReused Code = "COMMAND_ID_REUSED"
	// CodeTooLarge (413): over a limit.
	CodeTooLarge Code = "TOO_LARGE"
	// CodeRejected (422): the domain said no, in its own words.
	CodeRejected Code = "REJECTED"
	// CodeBusy (429, retryable): a queue is full.
	CodeBusy Code = "BUSY"
	// CodeInternal (500): a fault of the node or of the application's code; the
	// node's log has the details.
	CodeInternal Code = "INTERNAL"
	// CodeRefused (500): the log does not take the commit, and will not.
	CodeRefused Code = "REFUSED"
	// CodeDamaged (500): what is stored is not what was written.
	CodeDamaged Code = "DAMAGED"
	// CodeArchived (500): it needs what was moved to an archive, and the node was
	// started without that.
	CodeArchived Code = "ARCHIVED"
	// CodeAhead (500): the log lost its end; an operator must say how to go on.
	CodeAhead Code = "AHEAD"
	// CodeUnavailable (503, retryable): nobody could try: no owner, no log.
	CodeUnavailable Code = "UNAVAILABLE"
	// CodeUnknownOutcome (503, retryable with the same command id): it was
	// tried, and whether it was stored is not known.
	CodeUnknownOutcome Code = "UNKNOWN_OUTCOME"
	// CodeDeadline (504, retryable): the sender's time was over before the
	// command's turn came.
	CodeDeadline Code = "DEADLINE"
	// CodeViewTimeout (504, retryable): the view did not reach the position in
	// time. The body's details name the position wanted and the one reached.
	CodeViewTimeout Code = "VIEW_TIMEOUT"

	// CodeNoLetter (404): no stream is parked under that id.
	CodeNoLetter Code = "NO_LETTER"
	// CodeCandidate (409): a model is built beside the live one already.
	CodeCandidate Code = "CANDIDATE"
	// CodeNoCandidate (409): no model is being built.
	CodeNoCandidate Code = "NO_CANDIDATE"
	// CodeNoPrevious (409): there is no model to go back to.
	CodeNoPrevious Code = "NO_PREVIOUS"
	// CodeParity (409): the candidate is behind the live model or differs from it.
	// The body's details say how many documents were compared and differ.
	CodeParity Code = "PARITY"
	// CodeUnfinished (409, retryable): another dead letter of the view was being
	// retried and has to be finished first.
	CodeUnfinished Code = "RETRY_UNFINISHED"
	// CodePaused (503, retryable): the view is paused, and not as far as was asked,
	// or cannot be changed so.
	CodePaused Code = "PAUSED"
	// CodeRebuilding (503, retryable): the view is built again, and not as far yet
	// as was asked, or cannot be changed so before that is over.
	CodeRebuilding Code = "REBUILDING"

	// CodeSlow (429, retryable): the watcher did not take changes as fast as they
	// came. It may resume after the last position it has.
	CodeSlow Code = "SLOW_WATCHER"
	// CodeSwitched (409, retryable): another model of the view is served. A watch
	// begins anew.
	CodeSwitched Code = "SWITCHED"
)

// ErrParity is what the refusal to serve a candidate matches on both sides of
// the wire; on the node's it is also a *projector.ParityError.
var ErrParity = errors.New("candidate refused")

// rule binds a code to its number and to a sentinel of the node's side. A
// client's error matches the sentinel of its code's first rule.
type rule struct {
	code      Code
	status    int
	retryable bool
	sentinel  error
}

// rules is the one table, in the order in which an error that matches several
// sentinels is judged: a rejection is one even if the domain wraps a sentinel
// of ours, an unknown outcome is that whatever its cause, and a refused commit
// is named by its reason where that has a code.
var rules = []rule{
	{CodeRejected, 422, false, actor.ErrRejected},
	{CodeUnknownOutcome, 503, true, store.ErrUnknown},
	{CodeUnauthenticated, 401, false, ErrUnauthenticated},
	{CodeForbidden, 403, false, ErrForbidden},
	{CodeForgetUnfinished, 503, true, ErrForgetUnfinished},
	{CodeCommandIDReused, 409, false, actor.ErrDuplicateBody},
	{CodeInternal, 500, false, actor.ErrInternal},
	{CodeBusy, 429, true, actor.ErrBusy},
	{CodeDeadline, 504, true, actor.ErrDeadline},
	{CodeConflict, 409, false, store.ErrConflict},
	{CodeNoLetter, 404, false, projector.ErrNoLetter},
	{CodeNoCandidate, 409, false, projector.ErrNoCandidate},
	{CodeNoPrevious, 409, false, projector.ErrNoPrevious},
	{CodeParity, 409, false, ErrParity},
	{CodeCandidate, 409, false, projector.ErrCandidate},
	{CodeUnfinished, 409, true, projector.ErrUnfinished},
	{CodePaused, 503, true, projector.ErrPaused},
	{CodeRebuilding, 503, true, projector.ErrRebuilding},
	{CodeSlow, 429, true, projector.ErrSlow},
	{CodeSwitched, 409, true, projector.ErrSwitched},
	{CodeViewTimeout, 504, true, projector.ErrTimeout},
	{CodeUnknownView, 404, false, projector.ErrNoView},
	{CodeArchived, 500, false, store.ErrArchived},
	{CodeDamaged, 500, false, store.ErrDamaged},
	{CodeAhead, 500, false, store.ErrAhead},
	{CodeTooLarge, 413, false, store.ErrTooLarge},
	{CodeUnknownType, 404, false, store.ErrUnknownType},
	{CodeInvalid, 400, false, store.ErrInvalid},
	{CodeNotFound, 404, false, store.ErrNotFound},
	{CodeUnavailable, 503, true, store.ErrUnavailable},
	{CodeRefused, 500, false, store.ErrRefused},
	{CodeBusy, 429, true, projector.ErrBusy},
	{CodeUnavailable, 503, true, projector.ErrStopped},
	{CodeDeadline, 504, true, context.DeadlineExceeded},
	{CodeUnavailable, 503, true, context.Canceled},
}

// internal is the rule of every error that is not in the table.
var internal = rule{CodeInternal, 500, false, actor.ErrInternal}

func ruleOf(err error) rule {
	for _, r := range rules {
		if errors.Is(err, r.sentinel) {
			return r
		}
	}
	return internal
}

// byStatus judges an answer whose code this build does not know.
var byStatus = map[int]Code{
	400: CodeInvalid, 401: CodeUnauthenticated, 403: CodeForbidden, 404: CodeNotFound, 409: CodeConflict, 413: CodeTooLarge, 422: CodeRejected,
	429: CodeBusy, 500: CodeInternal, 503: CodeUnavailable, 504: CodeDeadline,
}

// ruleFor finds the rule of a code that came over the wire, and reports
// whether it was known; otherwise its number says what it is like.
func ruleFor(code Code, status int) (r rule, known bool) {
	if i := slices.IndexFunc(rules, func(r rule) bool { return r.code == code }); i >= 0 {
		return rules[i], true
	}
	if like, ok := byStatus[status]; ok {
		r, _ = ruleFor(like, 0)
		return r, false
	}
	return internal, false
}
