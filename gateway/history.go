package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// maxHistoryPage is how many events a page of a history has at most.
const maxHistoryPage = 1000

// aggregateHistory answers a page of the events of an aggregate instance.
func (g *Gateway) aggregateHistory(ctx context.Context, r reading) (any, error) {
	ask, stream, err := g.readHistory(r)
	if err != nil {
		return nil, err
	}
	page := historyPage{after: ask.After, limit: ask.Limit, room: g.maxReplyBytes() - historyFrameBytes - correctionsBytes}
	if err := page.fill(ctx, g.config.Actors, stream); err != nil {
		return nil, stored(err)
	}
	page.corrections.link(stream, page.events)
	if page.version == 0 && ask.After == 0 {
		return nil, fmt.Errorf("%s: %w", stream, store.ErrNotFound)
	}
	return historyResponse{Type: typeHistory, Aggregate: stream.Type, ID: stream.ID, Events: nonNil(page.events), Next: page.next}, nil
}

// readHistory reads a request for a page, and finds out whose.
func (g *Gateway) readHistory(r reading) (ask historyRequest, stream store.StreamID, err error) {
	ask = historyRequest{Limit: maxHistoryPage}
	if err = r.body(&ask); err != nil {
		return ask, stream, err
	}
	if stream, err = g.inspected(r, ask.Aggregate, ask.ID); err != nil {
		return ask, stream, err
	}
	if ask.Limit < 1 || ask.Limit > maxHistoryPage {
		err = &store.InvalidError{What: "limit", Value: strconv.Itoa(ask.Limit), Reason: "out of [1, " + strconv.Itoa(maxHistoryPage) + "]"}
	}
	ask.Limit = min(ask.Limit, g.config.MaxHistoryPage)
	return ask, stream, err
}

// historyFrameBytes is room for the page around its events: type, escaped id.
const historyFrameBytes = 2 << 10

// historyPage gathers events while there is room for them in an answer.
type historyPage struct {
	after   uint64
	limit   int
	room    int
	version uint64 // of the last event that was seen
	next    uint64
	events  []Event

	corrections corrections
}

func (p *historyPage) fill(ctx context.Context, actors Actors, stream store.StreamID) error {
	for e, err := range actors.History(ctx, stream, p.after) {
		if err != nil && p.next != 0 {
			return nil // the page is whole; who asks for the next one is told
		}
		if err != nil {
			return err
		}
		p.version = e.Version
		if e.Version <= p.after {
			continue
		}
		if p.next == 0 {
			if err := p.add(e); err != nil {
				return err
			}
		}
		p.corrections.note(e)
		if p.next != 0 && e.Version > p.next+correctionsAhead {
			return nil
		}
	}
	return nil
}

// add puts the event on the page, or ends the page before its version: the next
// page begins after a version, and would otherwise repeat parts of an event.
func (p *historyPage) add(recorded store.Recorded[any]) error {
	if len(p.events) >= p.limit && p.endBefore(recorded.Version) {
		return nil
	}
	e, size, err := eventOf(recorded)
	if err != nil {
		return err
	}
	if size > p.room && p.endBefore(recorded.Version) {
		return nil
	}
	if size > p.room { // its version alone fills more than an answer
		e.Data, e.Omitted, size = nil, true, size-len(e.Data)
	}
	p.room -= size
	p.events = append(p.events, e)
	return nil
}

// endBefore ends the page before a version. It reports whether that left anything
// in it; if not, nothing was done.
func (p *historyPage) endBefore(version uint64) bool {
	n := len(p.events)
	for n > 0 && p.events[n-1].Version == version {
		n--
	}
	if n == 0 {
		return false
	}
	p.events, p.next = p.events[:n], version-1
	return true
}

// eventOf returns the event as it is shown, and the bytes that takes.
func eventOf(r store.Recorded[any]) (Event, int, error) {
	data, err := store.JSON.Marshal(r.Data) // with the fields that only an Unknown has
	if err != nil {
		return Event{}, 0, fmt.Errorf("%w: encode event %d of %s: %w", actor.ErrInternal, r.Version, r.Stream, err)
	}
	e := Event{
		Version: r.Version, Position: r.Position, ID: r.ID, Part: r.Part, Type: r.Type, Schema: r.Schema, Time: r.Time, Data: data,
		Shredded: r.Shredded,
		Command:  commandOf(r.Command),
	}
	whole, err := json.Marshal(e)
	return e, len(whole) + 1, err
}

func commandOf(c store.Command) EventCommand {
	return EventCommand{
		ID: c.ID, Name: c.Name, CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent,
		Corrects: c.Corrects,
	}
}
