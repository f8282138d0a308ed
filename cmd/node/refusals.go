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
	all     []error
	waiting map[*waiting]struct{}
}

// waiting is a request that waits for an answer.
type waiting struct{ end context.CancelCauseFunc }

func (r *refusals) note(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < maxRefusals {
		r.all = append(r.all, err)
	}
	text := err.Error()
	if !strings.Contains(text, published) || !strings.Contains(text, controlled) || strings.Contains(text, clustered) {
		return
	}
	for w := range r.waiting {
		w.end(fmt.Errorf(serverSays+"%w", err))
	}
}

// What a refusal says of what was refused.
const (
	published  = "Publish to "
	subscribed = "Subscription to "
	controlled = ".ctl."
	clustered  = ".ctl.cluster." // what nobody answers
	recording  = ".ctl.audit.record"
)

// gotNone follows the subject in a gateway client's error for what nobody answered.
const gotNone = " got no answer"

// about returns the first refusal that has one of these texts in it, or any if none is given.
func (r *refusals) about(texts ...string) error {
	return r.first(func(refused string) bool {
		return len(texts) == 0 || slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(refused, t) })
	})
}

// first returns the first refusal whose text is one of these.
func (r *refusals) first(is func(refused string) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(err error) bool { return is(err.Error()) })
	if i < 0 {
		return nil
	}
	return r.all[i]
}

// unlessRefused asks a node something at a control subject, and waits no more once such a subject is refused: what was
// not taken is answered by nobody. It is not for what asks nodes more than once, and changes something. The error
// then is what the server said, and matches [nats.ErrPermissionViolation].
func (r *refusals) unlessRefused(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &waiting{cancel}
	r.mu.Lock()
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
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return err
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
// subject that got no answer, refusals of others have nothing to do with it. Nil: none.
func (s *Session) refusalBehind(err error) error {
	if errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	silent := slices.ContainsFunc([]error{store.ErrUnavailable, context.DeadlineExceeded, nats.ErrTimeout}, func(kind error) bool { return errors.Is(err, kind) })
	switch text := err.Error(); {
	case !silent:
		return nil
	case errors.Is(err, store.ErrUnknown):
		if refused := s.refused.about(".cmd."); refused != nil {
			return refused
		}
	case errors.Is(err, nats.ErrNoResponders): // the server, which says so, took it
		return nil
	case strings.Contains(text, gotNone):
		return s.refused.first(func(refused string) bool { return hides(refused, text) })
	}
	return s.refused.about()
}

// hides reports whether a refusal can be why there was no answer: it is that of the subject that was asked at, or of
// those that answers come to.
func hides(refused, silence string) bool {
	_, subject, asked := strings.Cut(refused, published+`"`)
	subject, _, _ = strings.Cut(subject, `"`)
	return !asked || strings.Contains(silence, subject+gotNone)
}

// otherUser is what to do about it.
const otherUser = "come as a user who may: generate permissions says who may do what; one that may ask in its own name only gives it: --as NAME; " +
	"one that has inboxes of its own names them: --inbox-prefix _INBOX_NAME"
