package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// aggregateGet answers the state of an aggregate instance, now or as it was.
func (g *Gateway) aggregateGet(ctx context.Context, r reading) (any, error) {
	var ask stateRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	stream, err := g.inspected(r, ask.Aggregate, ask.ID)
	if err != nil {
		return nil, err
	}
	s, err := g.config.Actors.State(ctx, stream, actor.At{Version: ask.AtVersion, Time: ask.AtTime})
	if err != nil {
		return nil, stored(err)
	}
	return stateAnswer(stream, s)
}

// stateAnswer shows a state in JSON.
func stateAnswer(stream store.StreamID, s actor.State) (any, error) {
	data, err := json.Marshal(s.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: encode state of %s: %w", actor.ErrInternal, stream, err)
	}
	return stateResponse{Type: typeAggregate, State: State{
		Aggregate: stream.Type, ID: stream.ID, Version: s.Version, Position: s.Position, Time: s.Time, State: data,
	}}, nil
}

// stream checks what a control request names.
func (g *Gateway) stream(aggregate, id string) (store.StreamID, error) {
	s := store.StreamID{Type: aggregate, ID: id}
	if err := s.Validate(); err != nil {
		return s, err
	}
	if g.aggregates[aggregate] == nil {
		return s, &store.UnknownTypeError{What: "aggregate", Name: aggregate}
	}
	return s, nil
}

// inspected is stream, of an instance that the asker may look at.
func (g *Gateway) inspected(r reading, aggregate, id string) (store.StreamID, error) {
	s, err := g.stream(aggregate, id)
	if err != nil {
		return s, err
	}
	return s, g.permit(r.request, Ask{Kind: KindInspect, Aggregate: aggregate, ID: id, Name: r.request.verb()})
}

// info answers what this node serves. Whoever may ask anything needs it to find
// the way.
func (g *Gateway) info(ctx context.Context, r reading) (any, error) {
	if err := r.body(&struct{}{}); err != nil {
		return nil, err
	}
	if err := g.permit(r.request, Ask{Kind: KindQuery, Name: "info"}); err != nil {
		return nil, err
	}
	i := Info{Namespace: g.config.Namespace, Node: g.config.Node, Version: g.config.Version, Partitions: g.config.Partitions, Aggregates: []AggregateInfo{}, Views: []string{}}
	for _, d := range g.config.Actors.Definitions() {
		i.Aggregates = append(i.Aggregates, AggregateInfo{Type: d.TypeName(), Commands: d.CommandNames(), Events: d.EventNames()})
	}
	if g.config.Views != nil {
		for _, s := range g.config.Views.Status(ctx) {
			if !slices.Contains(i.Views, s.Name) { // a view may have several models
				i.Views = append(i.Views, s.Name)
			}
		}
	}
	return infoResponse{Type: typeInfo, Info: i}, nil
}
