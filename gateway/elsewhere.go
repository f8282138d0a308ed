package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// whereItRuns answers what is asked of a view where that runs: here, by ask, or on another
// node, to which it is passed on. While no node runs the view it waits for one.
// An answer that matches [projector.ErrElsewhere] says that ask did nothing, unless
// it matches [store.ErrUnknown], too.
func (g *Gateway) whereItRuns(ctx context.Context, r reading, view string, ask func() (any, error)) (any, error) {
	if g.config.Placement == nil {
		return ask()
	}
	// Whoever passed it on may know that a worker is here, whose view is not.
	for duty, passed := view, r.headers.hops > 0; ; passed = false {
		changed := g.config.Placement.Changed()
		node, here := g.config.Placement.Runner(duty)
		if here || node == "" || node == g.config.Node || passed {
			// If it does not run here, this tells an unknown view from one at rest.
			v, err := ask()
			if !errors.Is(err, projector.ErrElsewhere) || errors.Is(err, store.ErrUnknown) {
				return v, err
			}
			if next := dutyOf(err, view); passed || next != duty {
				duty = next
				continue
			}
		} else if v, err := g.askFor(ctx, r, node); !errors.Is(err, nats.ErrNoResponders) {
			return v, err
		}
		if !pause(ctx, changed) {
			return nil, fmt.Errorf("%w: no node that responds runs view %s", store.ErrUnavailable, view)
		}
	}
}

// askFor has another node answer: the asker, or, if what comes of it is written down here, this node, which
// hands the answer on.
func (g *Gateway) askFor(ctx context.Context, r reading, node string) (any, error) {
	if !g.records(r) {
		return nil, g.passQuery(r, node)
	}
	m, err := g.passedOn(r, node)
	if err != nil {
		return nil, err
	}
	delete(m.Header, HeaderReply)
	got, err := g.config.Conn.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, err
	case err != nil: // it may have been done
		return nil, fmt.Errorf("%w: node %s: %w", store.ErrUnknown, node, err)
	}
	g.metrics.passedOn(r.request).Inc()
	if e := readError(got); e != nil {
		return nil, e
	}
	return json.RawMessage(got.Data), nil
}

// passedOn is a request as another node gets it.
func (g *Gateway) passedOn(r reading, node string) (*nats.Msg, error) {
	if r.headers.hops >= maxHops {
		return nil, fmt.Errorf("%w: the request was passed on %d times", store.ErrUnavailable, r.headers.hops)
	}
	return r.request.passTo(g.subjects.node(node)+r.request.path, r.headers.hops, r.deadline), nil
}

// dutyOf is whose answer is wanted: the view's, or that of the worker that an error
// names.
func dutyOf(err error, view string) string {
	if e, ok := errors.AsType[*projector.ElsewhereError](err); ok {
		return e.Duty
	}
	return view
}

// pause waits for a change, or a little; false: ctx is over.
func pause(ctx context.Context, changed <-chan struct{}) bool {
	timer := time.NewTimer(restAfterSilence)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// passQuery passes a query, or an operation that is written down nowhere, on and returns [errPassedOn], or
// [nats.ErrNoResponders] if the node is not there.
func (g *Gateway) passQuery(r reading, node string) error {
	m, err := g.passedOn(r, node)
	if err != nil {
		return err
	}
	t := make(trip, 1)
	if err := g.passage.send(m, t); err != nil {
		return fmt.Errorf("%w: pass on to node %s: %w", store.ErrUnavailable, node, err)
	}
	// How it fared is known within a round trip to the server, also when the time
	// of the query is over meanwhile, unless the connection is gone.
	timer := time.NewTimer(time.Until(r.deadline) + lastTimeout)
	defer timer.Stop()
	select {
	case err := <-t:
		if errors.Is(err, errPassedOn) {
			g.metrics.passedOn(r.request).Inc()
		}
		return err
	case <-timer.C:
		return errPassedOn
	}
}

// trip is a traveller that somebody waits for.
type trip chan error

func (t trip) arrived()  { t <- errPassedOn }
func (t trip) returned() { t <- nats.ErrNoResponders }

// StateUnreachable is the state, in a list of projections, of a view whose node
// does not say how it does, or that no node runs.
const StateUnreachable = "unreachable"

// projectionList answers how each projection is doing: of those that run on
// other nodes as these say. Other nodes, and who asks this very node, are told
// of those that run here.
func (g *Gateway) projectionList(ctx context.Context, r reading) (any, error) {
	if err := r.body(&struct{}{}); err != nil {
		return nil, err
	}
	if err := g.permit(r.request, Ask{Kind: KindInspect, Name: r.request.verb()}); err != nil {
		return nil, err
	}
	all := g.config.Views.Status(ctx)
	switch {
	case r.request.endpoint.passed:
		all = slices.DeleteFunc(all, func(s projector.Status) bool { return isElsewhere(s) && len(s.Shares) == 0 })
	case g.config.Placement != nil:
		all = g.withShares(ctx, g.askAround(ctx, eachOnce(slices.Clone(all))), all)
	}
	return projectionsResponse{Type: typeProjections, Projections: nonNil(all)}, nil
}

func isElsewhere(s projector.Status) bool { return s.State == projector.StateElsewhere }

// maxAskAround bounds how long a list waits for a node that says nothing.
const maxAskAround = 2 * time.Second

// askAround replaces what is known here of views that run elsewhere by what
// their nodes say, all of which are asked at the same time. A view may have
// several models, and its node knows which.
func (g *Gateway) askAround(ctx context.Context, all []projector.Status) []projector.Status {
	ctx, cancel := context.WithTimeout(ctx, min(patienceOf(ctx), maxAskAround))
	defer cancel()
	asks := map[string]func() ([]projector.Status, error){} // by node
	models := make([][]projector.Status, len(all))
	var wait sync.WaitGroup
	for i, s := range all {
		models[i] = all[i : i+1]
		if !isElsewhere(s) {
			continue
		}
		node, _ := g.config.Placement.Runner(s.Name)
		if node == g.config.Node {
			continue
		}
		if asks[node] == nil {
			asks[node] = sync.OnceValues(func() ([]projector.Status, error) { return g.statusOn(ctx, node) })
		}
		ask := asks[node]
		wait.Go(func() { models[i] = modelsThere(s, ask) })
	}
	wait.Wait()
	return slices.Concat(models...)
}

// modelsThere returns what its node says of a view that runs elsewhere.
func modelsThere(known projector.Status, ask func() ([]projector.Status, error)) []projector.Status {
	found, err := ask()
	if err != nil {
		known.State, known.Error = StateUnreachable, oneLine(err.Error())
		return []projector.Status{known}
	}
	if models := ofView(found, known.Name); len(models) > 0 {
		return models
	}
	return []projector.Status{known}
}

// ofView picks the models of one view.
func ofView(all []projector.Status, view string) []projector.Status {
	return slices.DeleteFunc(slices.Clone(all), func(s projector.Status) bool { return s.Name != view })
}

// eachOnce keeps one entry of each view that runs elsewhere, however many
// definitions of it there are here.
func eachOnce(all []projector.Status) []projector.Status {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(s projector.Status) bool {
		again := isElsewhere(s) && seen[s.Name]
		seen[s.Name] = true
		return again
	})
}

func (g *Gateway) statusOn(ctx context.Context, node string) ([]projector.Status, error) {
	if node == "" {
		return nil, errors.New("no node runs it")
	}
	var r projectionsResponse
	err := g.relay(ctx, node, pathControl+"projection.ls", nil, &r)
	return r.Projections, err
}

// relay asks another node on this one's own behalf.
func (g *Gateway) relay(ctx context.Context, node, path string, body, answer any) error {
	m := &nats.Msg{Subject: g.subjects.node(node) + path, Header: nats.Header{HeaderDeadline: {patience(ctx)}}}
	if body != nil {
		data, err := encode(store.JSON, body)
		if err != nil {
			return err
		}
		m.Data = data
	}
	got, err := g.config.Conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return fmt.Errorf("node %s: %w", node, err)
	}
	if e := readError(got); e != nil {
		return fmt.Errorf("node %s: %w", node, e)
	}
	return decodeReply(got, answer)
}
