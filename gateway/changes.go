package gateway

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// aggregateDiff answers what became of an aggregate instance between two moments.
func (g *Gateway) aggregateDiff(ctx context.Context, r reading) (any, error) {
	var ask diffRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	stream, err := g.inspected(r, ask.Aggregate, ask.ID)
	if err != nil {
		return nil, err
	}
	d, err := g.config.Actors.Diff(ctx, stream, ask.From.at(), ask.To.at())
	if err != nil {
		return nil, stored(err)
	}
	return diffResponse{Type: typeDifference, Difference: Difference{
		Aggregate: stream.Type, ID: stream.ID, From: endOf(d.From), To: endOf(d.To), Changes: nonNil(d.Changes),
	}}, nil
}

func endOf(s actor.State) Moment {
	return Moment{Version: s.Version, Position: s.Position, Time: s.Time}
}

// aggregateChanges answers a page of what the events of an aggregate instance
// changed.
func (g *Gateway) aggregateChanges(ctx context.Context, r reading) (any, error) {
	ask, stream, err := g.readHistory(r)
	if err != nil {
		return nil, err
	}
	page := changesPage{limit: ask.Limit, room: g.maxReplyBytes() - historyFrameBytes}
	for e, err := range g.config.Actors.Changes(ctx, stream, ask.After) {
		if err != nil {
			return nil, stored(err)
		}
		more, err := page.add(e)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if len(page.events) == 0 && ask.After == 0 {
		return nil, fmt.Errorf("%s: %w", stream, store.ErrNotFound)
	}
	return changesResponse{Type: typeChanges, Aggregate: stream.Type, ID: stream.ID, Events: nonNil(page.events), Next: page.next}, nil
}

// changesPage gathers changes while there is room for them in an answer.
type changesPage struct {
	limit  int
	room   int
	next   uint64
	events []Changed
}

// add reports whether there may be room for more.
func (p *changesPage) add(recorded store.Recorded[[]actor.Change]) (bool, error) {
	e := changedOf(recorded)
	size, err := sizeInJSON(e)
	if err != nil {
		return false, fmt.Errorf("%w: encode changes of event %d of %s: %w", actor.ErrInternal, e.Version, recorded.Stream, err)
	}
	if len(p.events) > 0 && (size > p.room || len(p.events) == p.limit) {
		p.next = recorded.Version - 1
		return false, nil
	}
	if size > p.room { // they alone fill more than an answer
		e.Changes, e.Omitted = nil, true
		if size, err = sizeInJSON(e); err != nil {
			return false, err
		}
	}
	p.room -= size
	p.events = append(p.events, e)
	return true, nil
}

func changedOf(r store.Recorded[[]actor.Change]) Changed {
	return Changed{
		Version: r.Version, Position: r.Position, ID: r.ID, Type: r.Type, Schema: r.Schema, Time: r.Time, Changes: nonNil(r.Data), Shredded: r.Shredded,
		Command: commandOf(r.Command),
	}
}
