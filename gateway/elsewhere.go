package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// whereItRuns answers a query where its view runs: here, by ask, or on another
// node, to which it is passed on. While no node runs the view it waits for one.
func (g *Gateway) whereItRuns(ctx context.Context, r reading, view string, ask func() (any, error)) (any, error) {
	if g.config.Placement == nil {
		return ask()
	}
	for {
		changed := g.config.Placement.Changed()
		node, here := g.config.Placement.Runner(view)
		if here || node == "" || node == g.config.Node {
			// If it does not run here, this tells an unknown view from one at rest.
			if v, err := ask(); !errors.Is(err, projector.ErrElsewhere) {
				return v, err
			}
		} else if err := g.passQuery(r, node); !errors.Is(err, nats.ErrNoResponders) {
			return nil, err
		}
		if !pause(ctx, changed) {
			return nil, fmt.Errorf("%w: no node that responds runs view %s", store.ErrUnavailable, view)
		}
	}
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

// passQuery passes a query on and returns [errPassedOn], or
// [nats.ErrNoResponders] if the node is not there.
func (g *Gateway) passQuery(r reading, node string) error {
	if r.headers.hops >= maxHops {
		return fmt.Errorf("%w: the request was passed on %d times", store.ErrUnavailable, r.headers.hops)
	}
	t := make(trip, 1)
	m := r.request.passTo(g.subjects.node(node)+r.request.path, r.headers.hops, r.deadline)
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
			g.metrics.forwarded.query.Inc()
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
	all := g.config.Views.Status(ctx)
	switch {
	case r.request.endpoint.passed:
		all = slices.DeleteFunc(all, isElsewhere)
	case g.config.Placement != nil:
		g.askAround(ctx, all)
	}
	return projectionsResponse{Type: typeProjections, Projections: nonNil(all)}, nil
}

func isElsewhere(s projector.Status) bool { return s.State == projector.StateElsewhere }

// maxAskAround bounds how long a list waits for a node that says nothing.
const maxAskAround = 2 * time.Second

// askAround replaces what is known here of views that run elsewhere by what
// their nodes say, all of which are asked at the same time.
func (g *Gateway) askAround(ctx context.Context, all []projector.Status) {
	ctx, cancel := context.WithTimeout(ctx, min(patienceOf(ctx), maxAskAround))
	defer cancel()
	nodes := map[string][]*projector.Status{}
	for i := range all {
		if !isElsewhere(all[i]) {
			continue
		}
		if node, _ := g.config.Placement.Runner(all[i].Name); node != g.config.Node {
			nodes[node] = append(nodes[node], &all[i])
		}
	}
	var wait sync.WaitGroup
	for node, views := range nodes {
		wait.Go(func() { g.askNode(ctx, node, views) })
	}
	wait.Wait()
}

// askNode asks a node about some of its views.
func (g *Gateway) askNode(ctx context.Context, node string, views []*projector.Status) {
	found, err := g.statusOn(ctx, node)
	for _, v := range views {
		i := slices.IndexFunc(found, func(s projector.Status) bool { return s.Name == v.Name })
		switch {
		case err != nil:
			v.State, v.Error = StateUnreachable, oneLine(err.Error())
		case i >= 0:
			*v = found[i]
		}
	}
}

func (g *Gateway) statusOn(ctx context.Context, node string) ([]projector.Status, error) {
	if node == "" {
		return nil, errors.New("no node runs it")
	}
	m := &nats.Msg{Subject: g.subjects.node(node) + pathControl + "projection.ls", Header: nats.Header{HeaderDeadline: {patience(ctx)}}}
	answer, err := g.config.Conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	if e := readError(answer); e != nil {
		return nil, fmt.Errorf("node %s: %w", node, e)
	}
	var r projectionsResponse
	err = decodeReply(answer, &r)
	return r.Projections, err
}
