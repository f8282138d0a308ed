package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// MaxWaitViews is how many views one request may wait for.
const MaxWaitViews = 16

// ViewWait is what came of waiting for one view.
type ViewWait struct {
	View string `json:"view"`
	// Reached says that everything up to the position is in the view.
	Reached bool `json:"reached"`
	// Position is how far the view had come when the wait ended, 0 if that is not
	// known. Code and Description say why the wait ended. All are empty if the
	// position was reached.
	Position    store.Position `json:"position,omitempty"`
	Code        Code           `json:"err_code,omitempty"`
	Description string         `json:"description,omitempty"`
}

// errLeaving ends what waits for views when the gateway is stopped.
var errLeaving = errors.New("the gateway is being stopped")

// readWaitViews reads names that are separated by commas.
func readWaitViews(h *headers, value string, _ time.Time) error {
	for name := range strings.SplitSeq(value, ",") {
		h.waitViews = append(h.waitViews, strings.TrimSpace(name))
	}
	return checkViews(h.waitViews)
}

// checkViews checks the names that somebody waits for, and not whether there
// are such views.
func checkViews(views []string) error {
	if len(views) == 0 || len(views) > MaxWaitViews {
		return &store.InvalidError{What: "views", Value: strconv.Itoa(len(views)) + " names", Reason: "out of [1, " + strconv.Itoa(MaxWaitViews) + "]"}
	}
	for i, view := range views {
		if err := store.ValidateName("view", view); err != nil {
			return err
		}
		if slices.Contains(views[:i], view) {
			return &store.InvalidError{What: "views", Value: view, Reason: "named more than once"}
		}
	}
	return nil
}

// over is a context that has ended.
var over = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// knownViews returns an error that matches [projector.ErrNoView] if one of the
// views is not known here. It does not block.
func (g *Gateway) knownViews(views []string) error {
	for _, view := range views {
		// To wait with a context that has ended tells whether there is such a view.
		if err := g.waitHere(over, view, 0); errors.Is(err, projector.ErrNoView) {
			return err
		}
	}
	return nil
}

// waitHere waits for a view of this node's.
func (g *Gateway) waitHere(ctx context.Context, view string, p store.Position) error {
	if g.config.Views != nil {
		return g.config.Views.Wait(ctx, view, p)
	}
	if g.config.Placement != nil {
		if node, _ := g.config.Placement.Runner(view); node != "" {
			return projector.ErrElsewhere
		}
	}
	return fmt.Errorf("%w: %q", projector.ErrNoView, view)
}

// awaitAll waits for several views at once, wherever they run, and returns what
// came of each, in their order.
func (g *Gateway) awaitAll(ctx context.Context, views []string, p store.Position) []error {
	errs := make([]error, len(views))
	var waiting sync.WaitGroup
	for i, view := range views {
		waiting.Go(func() { errs[i] = g.await(ctx, view, p) })
	}
	waiting.Wait()
	return errs
}

// await waits until a view has reached p, here or on the node that runs it. If
// it goes elsewhere meanwhile, so does the wait.
func (g *Gateway) await(ctx context.Context, view string, p store.Position) error {
	if g.config.Placement == nil {
		return g.waitHere(ctx, view, p)
	}
	for {
		changed := g.config.Placement.Changed()
		node, here := g.config.Placement.Runner(view)
		if here || node == "" || node == g.config.Node {
			if err := g.waitHere(ctx, view, p); !errors.Is(err, projector.ErrElsewhere) {
				return err
			}
		} else if err := g.waitThere(ctx, node, view, p); !isNobody(err) {
			return err
		}
		if !pause(ctx, changed) {
			return fmt.Errorf("%w: no node that responds runs view %s", store.ErrUnavailable, view)
		}
	}
}

// isNobody reports whether somebody else may have an answer, or the same node a
// little later.
func isNobody(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, store.ErrUnavailable) && !errors.Is(err, projector.ErrRebuilding)
}

// waitThere has another node wait. Its answer comes here and not to the asker:
// the asker gets one for all views.
func (g *Gateway) waitThere(ctx context.Context, node, view string, p store.Position) error {
	err := g.relay(ctx, node, pathControl+"wait", waitRequest{Position: p, Views: []string{view}}, &waitResponse{})
	if err != nil && ctx.Err() != nil && !errors.Is(err, projector.ErrTimeout) {
		return fmt.Errorf("%w: node %s, which runs view %s, did not answer in time", store.ErrUnavailable, node, view)
	}
	return err
}

// wait answers once all of the views have reached the position: a part of them
// is never an answer. A node that is asked by another waits for its own views
// only.
func (g *Gateway) wait(ctx context.Context, r reading) (any, error) {
	var ask waitRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	if err := checkViews(ask.Views); err != nil {
		return nil, err
	}
	for _, view := range ask.Views {
		if err := g.permit(r.request, Ask{Kind: KindQuery, View: view, Name: "wait"}); err != nil {
			return nil, err
		}
	}
	if err := g.knownViews(ask.Views); err != nil {
		return nil, err
	}
	if r.request.endpoint.passed {
		for _, view := range ask.Views {
			if err := g.waitHere(ctx, view, ask.Position); err != nil {
				return nil, err
			}
		}
	} else if err := missed(ask.Views, ask.Position, g.awaitAll(ctx, ask.Views, ask.Position)); err != nil {
		return nil, err
	}
	return waitResponse{Type: typeWait, Position: ask.Position, Views: ask.Views}, nil
}

// missed is the one error that several waits came to: what no patience changes
// before what took too long.
func missed(views []string, want store.Position, errs []error) error {
	var late []ViewWait
	var unavailable error
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, projector.ErrTimeout):
			late = append(late, outcomeOf(views[i], err))
		case errors.Is(err, store.ErrUnavailable):
			unavailable = err
		default:
			return err
		}
	}
	switch {
	case unavailable != nil:
		return unavailable
	case len(late) > 0:
		return &LateError{Want: want, Views: late}
	}
	return nil
}

// LateError says which of several views did not reach a position in time. It
// matches projector.ErrTimeout.
type LateError struct {
	Want store.Position
	// Views are those that did not; how far they came stands with each.
	Views []ViewWait
}

func (e *LateError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "timeout: position %d was not reached by", e.Want)
	for i, v := range e.Views {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " view %s (at %d)", v.View, v.Position)
	}
	return b.String()
}

// Unwrap makes the error match projector.ErrTimeout.
func (*LateError) Unwrap() error { return projector.ErrTimeout }

// least is the position of the view that is the furthest behind.
func (e *LateError) least() store.Position {
	least := e.Want
	for _, v := range e.Views {
		least = min(least, v.Position)
	}
	return least
}

// outcomeOf tells what a wait came to.
func outcomeOf(view string, err error) ViewWait {
	if err == nil {
		return ViewWait{View: view, Reached: true}
	}
	e := answerTo(err)
	return ViewWait{View: view, Position: store.Position(e.Details["reached_position"]), Code: e.Code, Description: e.Description}
}
