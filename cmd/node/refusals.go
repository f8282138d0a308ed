package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// maxRefusals bounds what is kept of them.
const maxRefusals = 16

// refusals are what the servers did not permit this session. They say so beside the
// answer that then never comes.
type refusals struct {
	mu      sync.Mutex
	heard   uint64 // how many, all together
	all     []refusal
	waiting map[*waiting]struct{}
}

// refusal is what was refused, and the number that it had when it was heard last.
type refusal struct {
	err  error
	last uint64
}

// waiting is a request at a control verb that waits for an answer.
type waiting struct {
	verb string
	end  context.CancelCauseFunc
}

func (r *refusals) note(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(err)
	for w := range r.waiting {
		if isOf(err.Error(), w.verb) {
			w.end(fmt.Errorf(serverSays+"%w", err))
		}
	}
}

// keep has one that is heard again in its place. Where there is no more room, the oldest goes that is of something
// published: what is subscribed once is refused once, and answers never come.
func (r *refusals) keep(err error) {
	r.heard++
	text := err.Error()
	if i := slices.IndexFunc(r.all, func(was refusal) bool { return was.err.Error() == text }); i >= 0 {
		r.all[i].last = r.heard
		return
	}
	if len(r.all) == maxRefusals {
		out := max(0, slices.IndexFunc(r.all, func(was refusal) bool { return strings.Contains(was.err.Error(), published) }))
		r.all = slices.Delete(r.all, out, out+1)
	}
	r.all = append(r.all, refusal{err, r.heard})
}

// What a refusal says of what was refused.
const (
	published  = "Publish to "
	subscribed = "Subscription to "
	controlled = ".ctl."
	recording  = "audit.record"
)

// notControl stands for the verb of a request that does not go to a control subject.
const notControl = ""

// gotNone follows the subject in a gateway client's error for what nobody answered.
const gotNone = " got no answer"

// subjectIn returns the subject that a refusal says could not be published to; false: it is of something else.
func subjectIn(refused string) (subject string, is bool) {
	_, subject, is = strings.Cut(refused, published+`"`)
	subject, _, _ = strings.Cut(subject, `"`)
	return subject, is
}

// isOf reports whether a refusal is that of requests at a control verb, in whatever name they are asked: all that a
// session asks is in one namespace.
func isOf(refused, verb string) bool {
	subject, is := subjectIn(refused)
	return is && verb != notControl && strings.HasSuffix(subject, controlled+verb)
}

// about returns the first refusal that has one of these texts in it.
func (r *refusals) about(texts ...string) error {
	return r.first(func(refused refusal) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(refused.err.Error(), t) })
	})
}

// first returns the first refusal that is one of these.
func (r *refusals) first(is func(refusal) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, is)
	if i < 0 {
		return nil
	}
	return r.all[i].err
}

// unlessRefused asks a node something at a control verb, and waits no more once that is refused: what was
// not taken is answered by nobody. It is not for what asks nodes more than once, and changes something. The error
// then is what the server said, and matches [nats.ErrPermissionViolation]. Every other one says since when it was
// asked, so that it is not told to come of what was refused before. With [notControl] no refusal ends the wait.
func (r *refusals) unlessRefused(ctx context.Context, verb string, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &waiting{verb, cancel}
	r.mu.Lock()
	since := r.heard
	if r.waiting == nil {
		r.waiting = map[*waiting]struct{}{}
	}
	r.waiting[w] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, w)
	}()
	err := ask(ctx)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return &requestError{verb, since, err}
}

// requestError is that of a request, which began when so many refusals had been heard.
type requestError struct {
	verb   string
	since  uint64
	reason error
}

// Error implements error.
func (e *requestError) Error() string { return e.reason.Error() }

// Unwrap returns the reason.
func (e *requestError) Unwrap() error { return e.reason }

// mayComeOf reports whether a refusal can be behind an error: that of what answers come to, whenever it was heard, for
// it is said once; of what was published it must have been heard since the request began, and be of its verb. Of
// what was not asked by a request nobody knows when it began.
func mayComeOf(err error, r refusal) bool {
	e, is := errors.AsType[*requestError](err)
	if !is {
		return true
	}
	if _, is := subjectIn(r.err.Error()); !is {
		return true
	}
	return r.last > e.since && (e.verb == notControl || isOf(r.err.Error(), e.verb))
}

// noteRefusal keeps what the server refused.
func (s *Session) noteRefusal(_ *nats.Conn, _ *nats.Subscription, err error) {
	s.refused.note(err)
	s.Logger().Debug("nats connection", "err", err)
}

// notPermitted is the failure for an error that is a refusal or came of one: nobody
// answered what was never sent, or could not be heard. Nil: it did not.
func (s *Session) notPermitted(err error) *Failure {
	refused := s.refusalBehind(err)
	switch {
	case refused == nil:
		return nil
	case errors.Is(err, store.ErrUnknown): // something was sent
		return &Failure{Code: gateway.CodeUnknownOutcome, Exit: console.ExitUnavailable, What: err.Error(), Why: serverSays + refused.Error(), Fix: otherUser, Err: err}
	case errors.Is(err, nats.ErrPermissionViolation):
		return &Failure{Code: codeNoPermit, Exit: console.ExitForbidden, What: "this user may not do that", Why: err.Error(), Fix: otherUser, Err: err}
	}
	return &Failure{Code: codeNoPermit, Exit: console.ExitForbidden, What: err.Error(), Why: serverSays + refused.Error(), Fix: otherUser, Err: err}
}

const serverSays = "the NATS server says: "

// refusalBehind is what the server refused that an error may have come of: the error itself if it is one, and where
// nobody answered the refusal of a command if its outcome is not known, or else the first. Where the error names the
// subject that got no answer, refusals of others have nothing to do with it, nor has what was refused before the
// request began. Nil: none.
func (s *Session) refusalBehind(err error) error {
	if errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	silent := slices.ContainsFunc([]error{store.ErrUnavailable, context.DeadlineExceeded, nats.ErrTimeout}, func(kind error) bool { return errors.Is(err, kind) })
	behind := func(which func(refused string) bool) error {
		return s.refused.first(func(r refusal) bool { return mayComeOf(err, r) && which(r.err.Error()) })
	}
	switch text := err.Error(); {
	case !silent:
		return nil
	case errors.Is(err, store.ErrUnknown):
		if refused := behind(func(refused string) bool { return strings.Contains(refused, ".cmd.") }); refused != nil {
			return refused
		}
	case errors.Is(err, nats.ErrNoResponders): // the server, which says so, took it
		return nil
	case strings.Contains(text, gotNone):
		return behind(func(refused string) bool { return hides(refused, text) })
	}
	return behind(func(string) bool { return true })
}

// hides reports whether a refusal can be why there was no answer: it is that of the subject that was asked at, or of
// those that answers come to.
func hides(refused, silence string) bool {
	subject, asked := subjectIn(refused)
	return !asked || strings.Contains(silence, subject+gotNone)
}

// otherUser is what to do about it.
const otherUser = "come as a user who may: generate permissions says who may do what; one that may ask in its own name only gives it: --as NAME; " +
	"one that has inboxes of its own names them: --inbox-prefix _INBOX_NAME"
