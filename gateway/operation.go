package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

const (
	// maxOperation is the latest deadline of an operation: to verify a view is to
	// read its part of the log again.
	maxOperation = 15 * time.Minute
)

// operation is a control verb about one view, carried out where that runs.
type operation struct {
	verb string
	// request and response tell whoever looks at the endpoint what goes in and out.
	request, response string
	// changes says that it changes something: see [uncertain].
	changes bool
	do      func(*Gateway, context.Context, reading) (any, error)
}

// operations are all of them. What the answers hold is in package projector.
var operations = []operation{
	{"projection.info", `{"view": NAME}`, typeProjection, false, about((*Gateway).projectionInfo)},
	{"projection.rebuild", `{"view": NAME, "online": BOOL, "version": N, "parity": N, "switch": BOOL, "why": TEXT}`, typeModel, true, about((*Gateway).rebuild)},
	{"projection.promote", `{"view": NAME, "force": BOOL, "why": TEXT}`, typeProjection, true, about((*Gateway).promote)},
	{"projection.rollback", `{"view": NAME, "why": TEXT}`, typeProjection, true, about(change(Operators.Rollback))},
	{"projection.cancel", `{"view": NAME, "why": TEXT}`, typeProjection, true, about(change(Operators.Cancel))},
	{"projection.retire", `{"view": NAME, "why": TEXT}`, typeProjection, true, about(change(Operators.Retire))},
	{"projection.pause", `{"view": NAME, "why": TEXT}`, typeProjection, true, about(change(Operators.Pause))},
	{"projection.resume", `{"view": NAME, "why": TEXT}`, typeProjection, true, about(change(Operators.Resume))},
	{"projection.rewind", `{"view": NAME, "position": N, "why": TEXT}`, typeProjection, true, about((*Gateway).rewind)},
	{"projection.verify", `{"view": NAME, "documents": BOOL}`, typeVerification, false, about((*Gateway).verify)},
	{"dlq.ls", `{"view": NAME, "cursor": TEXT, "limit": N}`, typeLetters, false, about((*Gateway).letterList)},
	{"dlq.get", `{"view": NAME, "id": ID, "limit": N}`, typeLetter, false, about((*Gateway).letterGet)},
	{"dlq.retry", `{"view": NAME, "id": ID, "why": TEXT}`, typeReleased, true, about((*Gateway).letterRetry)},
	{"dlq.edit", `{"view": NAME, "id": ID, "at": VERSION, "data": JSON, "by": NAME, "why": TEXT}`, typeLetter, true, about((*Gateway).letterEdit)},
	{"dlq.skip", `{"view": NAME, "id": ID, "at": VERSION, "reason" or "why": TEXT, "by": NAME}`, typeReleased, true, about((*Gateway).letterSkip)},
	{"dlq.skipped", `{"view": NAME, "cursor": TEXT, "limit": N}`, typeSkipped, false, about((*Gateway).letterSkipped)},
}

// viewed is the body of a request about one view.
type viewed interface{ of() string }

// letterOf is the dead letter that a request is about, "" if it is about none.
func letterOf(ask any) string {
	if l, ok := ask.(interface{ letter() string }); ok {
		return l.letter()
	}
	return ""
}

// viewRequest is what is common to all of them.
type viewRequest struct {
	View string `json:"view"`
	// By is who asks, for the audit log; what a token or a subject says of that counts more.
	By string `json:"by,omitempty"`
	// Why is the reason, for the audit log.
	Why string `json:"why,omitempty"`
}

func (r viewRequest) of() string { return r.View }

// about makes an operation of a function that is called where the view runs.
func about[A viewed](do func(*Gateway, context.Context, A) (any, error)) func(*Gateway, context.Context, reading) (any, error) {
	return func(g *Gateway, ctx context.Context, r reading) (any, error) {
		var ask A
		if err := r.body(&ask); err != nil {
			return nil, err
		}
		if s, ok := any(&ask).(interface{ signed(func(string) string) }); ok {
			s.signed(r.request.by)
		}
		if err := store.ValidateName("view", ask.of()); err != nil {
			return nil, err
		}
		if err := g.permit(r.request, Ask{Kind: r.kind(), View: ask.of(), ID: letterOf(ask), Name: r.request.verb()}); err != nil {
			return nil, err
		}
		if s, ok := any(&ask).(reasoned); ok {
			if err := s.because(); err != nil {
				return nil, err
			}
		}
		return g.recorded(ctx, r, ask, func() (any, error) {
			return g.whereItRuns(ctx, r, ask.of(), func() (any, error) { return do(g, ctx, ask) })
		})
	}
}

// operator handles requests for an operation.
func (g *Gateway) operator(base context.Context, o operation) handler {
	return g.in(g.operationLane(), base, func(ctx context.Context, r reading) (any, error) {
		r.changes = o.changes
		v, err := o.do(g, ctx, r)
		if err != nil && o.changes {
			err = uncertain(err)
		}
		return v, err
	})
}

func (g *Gateway) operationLane() lane {
	return lane{
		what: "operations", places: g.operations, most: g.config.MaxOperations,
		bytes: maxReadBytes + maxCommandBytes, longest: max(maxOperation, g.config.MaxTimeout),
	}
}

// uncertain is what a change came to whose time was over: it may have taken
// effect, which a bare deadline would deny.
func uncertain(err error) error {
	if s := ruleOf(err).sentinel; errors.Is(s, context.DeadlineExceeded) || errors.Is(s, context.Canceled) {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// metadata is that of the operation's endpoint.
func (o operation) metadata() map[string]string {
	m := answers(o.response)
	m["request"], m["impact"] = o.request, "read"
	if o.changes {
		m["impact"] = "write"
	}
	return m
}

// change makes the function of an operation that needs no more than the view.
func change(do func(Operators, context.Context, string) error) func(*Gateway, context.Context, viewRequest) (any, error) {
	return func(g *Gateway, ctx context.Context, ask viewRequest) (any, error) {
		if err := do(g.config.Operators, ctx, ask.View); err != nil {
			return nil, err
		}
		return g.changed(ctx, ask.View), nil
	}
}

// models answers how a view's models stand on this node, which runs it.
func (g *Gateway) models(ctx context.Context, view string) (any, error) {
	found := ofView(g.config.Views.Status(ctx), view)
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%w: %q", projector.ErrNoView, view)
	case !slices.ContainsFunc(found, func(s projector.Status) bool { return !isElsewhere(s) }):
		return nil, fmt.Errorf("view %s: %w", view, projector.ErrElsewhere)
	}
	return g.projection(view, found), nil
}

// changed answers how a view's models stand after a change of it. That was made, so
// this is never an error: if the view has left this node since, its models are
// listed as elsewhere.
func (g *Gateway) changed(ctx context.Context, view string) any {
	return g.projection(view, nonNil(ofView(g.config.Views.Status(ctx), view)))
}

func (g *Gateway) projection(view string, models []projector.Status) projectionResponse {
	return projectionResponse{Type: typeProjection, Projection: Projection{View: view, Node: g.config.Node, Models: models}}
}

func (g *Gateway) projectionInfo(ctx context.Context, ask viewRequest) (any, error) {
	found, err := g.models(ctx, ask.View)
	if p, ok := found.(projectionResponse); ok {
		p.Models = g.withShares(ctx, p.Models, nil) // which tell already of those here
	}
	return found, err
}

// rebuildRequest asks for a rebuild.
type rebuildRequest struct {
	viewRequest
	projector.Rebuild
}

func (g *Gateway) rebuild(ctx context.Context, ask rebuildRequest) (any, error) {
	model, err := g.config.Operators.Rebuild(ctx, ask.View, ask.Rebuild)
	return modelResponse{Type: typeModel, Model: model}, err
}

type promoteRequest struct {
	viewRequest
	Force bool `json:"force"`
}

func (g *Gateway) promote(ctx context.Context, ask promoteRequest) (any, error) {
	err := g.config.Operators.Promote(ctx, ask.View, ask.Force)
	if _, refused := errors.AsType[*projector.ParityError](err); refused {
		err = fmt.Errorf("%w: %w", ErrParity, err)
	}
	if err != nil {
		return nil, err
	}
	return g.changed(ctx, ask.View), nil
}

type rewindRequest struct {
	viewRequest
	Position *store.Position `json:"position"`
}

var errNoPosition = &store.InvalidError{What: "position", Reason: "it is needed; 0 is the beginning"}

func (g *Gateway) rewind(ctx context.Context, ask rewindRequest) (any, error) {
	if ask.Position == nil {
		return nil, errNoPosition
	}
	if err := g.config.Operators.Rewind(ctx, ask.View, *ask.Position); err != nil {
		return nil, err
	}
	return g.changed(ctx, ask.View), nil
}

type verifyRequest struct {
	viewRequest
	Documents bool `json:"documents"`
}

func (g *Gateway) verify(ctx context.Context, ask verifyRequest) (any, error) {
	v, err := g.config.Operators.Verify(ctx, ask.View, ask.Documents)
	return verificationResponse{Type: typeVerification, Verification: v}, err
}
