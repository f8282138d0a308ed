package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Get returns a document of a view once the view has reached min, such as the
// position of a command's result. Errors: [store.ErrNotFound],
// projector.ErrNoView, projector.ErrTimeout if the view does not come that far
// in time, [store.ErrUnavailable].
func (c *Client) Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error) {
	token, err := store.EncodeToken(key)
	if err != nil {
		return projector.Document{}, err
	}
	if err := store.ValidateName("view", view); err != nil {
		return projector.Document{}, err
	}
	var r documentResponse
	err = c.ask(ctx, c.subjects.document(view, token), since(min), nil, &r)
	return r.Document, err
}

// Page returns the documents of a view that follow the cursor, at most limit,
// once the view has reached min, and the cursor of the next page: "" begins, ""
// ends. A page may be short, even empty, without being the last. limit is in
// [1, projector.MaxPage]; 0 means 500.
func (c *Client) Page(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []projector.Document, next string, err error) {
	if err := store.ValidateName("view", view); err != nil {
		return nil, "", err
	}
	if limit == 0 {
		limit = defaultPage
	}
	var page listResponse
	err = c.ask(ctx, c.subjects.view(view), since(min), listRequest{Cursor: cursor, Limit: limit}, &page)
	return page.Documents, page.Next, err
}

// List yields the documents of a view once it has reached min, page by page.
// A document that changes meanwhile may come twice, none is missed. The last
// pair has the error, if any.
func (c *Client) List(ctx context.Context, view string, min store.Position) iter.Seq2[projector.Document, error] {
	return pages("", func(cursor string) ([]projector.Document, string, error) { return c.Page(ctx, view, cursor, 0, min) })
}

// State returns the state of an aggregate instance, now or as it was. Errors:
// [store.ErrNotFound] if it had no events, [store.ErrUnknownType],
// [store.ErrInvalid] if it never had that version, [store.ErrUnavailable].
func (c *Client) State(ctx context.Context, id store.StreamID, at actor.At) (State, error) {
	if err := id.Validate(); err != nil {
		return State{}, err
	}
	var r stateResponse
	ask := stateRequest{Aggregate: id.Type, ID: id.ID, AtVersion: at.Version, AtTime: at.Time}
	err := c.ask(ctx, c.subjects.control("aggregate.get"), nats.Header{}, ask, &r)
	return r.State, err
}

// HistoryPage returns the events of an aggregate instance that follow the
// version after, as many as one answer holds, and the version after which the next
// page begins, 0 if this is the last. Errors: [store.ErrNotFound] if there are no
// events at all, [store.ErrUnknownType], [store.ErrUnavailable].
func (c *Client) HistoryPage(ctx context.Context, id store.StreamID, after uint64) (events []Event, next uint64, err error) {
	var page historyResponse
	err = c.eventPage(ctx, "aggregate.history", id, after, &page)
	return page.Events, page.Next, err
}

// History yields the events of an aggregate instance that follow the version
// after, page by page. The last pair has the error, if any: those of HistoryPage.
func (c *Client) History(ctx context.Context, id store.StreamID, after uint64) iter.Seq2[Event, error] {
	return pages(after, func(after uint64) ([]Event, uint64, error) { return c.HistoryPage(ctx, id, after) })
}

// Projections returns how each projection is doing.
func (c *Client) Projections(ctx context.Context) ([]projector.Status, error) {
	var r projectionsResponse
	err := c.ask(ctx, c.subjects.control("projection.ls"), nats.Header{}, nil, &r)
	return r.Projections, err
}

// Info returns what the node that answers first serves.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var r infoResponse
	err := c.ask(ctx, c.subjects.control("info"), nats.Header{}, nil, &r)
	return r.Info, err
}

// Read returns the state of an aggregate instance as its owner has it in
// memory, under its lease, and, if linearizable, of no moment before the call,
// for the price of a barrier. It asks again while the owner changes or says
// nothing, until ctx ends. Errors are those of [Client.State].
func (c *Client) Read(ctx context.Context, id store.StreamID, linearizable bool) (State, error) {
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		return State{}, err
	}
	if err := store.ValidateName("aggregate type", id.Type); err != nil {
		return State{}, err
	}
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	header := nats.Header{}
	if linearizable {
		header[HeaderConsistency] = []string{consistencyLinearizable}
	}
	subject := c.subjects.get(c.partitionOf(ctx, id), id.Type, token)
	wait, pause := c.config.ResendAfter, c.config.MinBackoff
	for {
		state, err := c.readOnce(ctx, wait, subject, header)
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Retryable {
			return state, err
		}
		var can bool
		if pause, can = e.pause(ctx, pause); !can || !rest(ctx, pause) {
			return state, err
		}
		wait, pause = 2*wait, min(2*pause, c.config.MaxBackoff)
	}
}

func (c *Client) readOnce(ctx context.Context, wait time.Duration, subject string, header nats.Header) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var r stateResponse
	err := c.ask(ctx, subject, header, nil, &r)
	return r.State, err
}

// since is the header of a query that wants its view to have reached a position.
func since(min store.Position) nats.Header {
	if min == 0 {
		return nats.Header{}
	}
	return nats.Header{HeaderMinPosition: {strconv.FormatUint(uint64(min), 10)}}
}

// ask sends one query or control request. Reading changes nothing, so it is
// the caller's to ask again.
func (c *Client) ask(ctx context.Context, subject string, header nats.Header, body, answer any) error {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	m := &nats.Msg{Subject: subject, Header: header}
	m.Header[HeaderDeadline] = []string{patience(ctx)}
	c.authorize(ctx, m.Header)
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		m.Data = data
	}
	got, err := c.config.Conn.RequestMsgWithContext(ctx, m)
	switch {
	case err != nil && ctx.Err() != nil:
		return inferred(CodeUnavailable, errors.Join(context.Cause(ctx), err), "%s got no answer", subject)
	case err != nil:
		return inferred(CodeUnavailable, err, "%s got no answer", subject)
	}
	if e := readError(got); e != nil {
		return e
	}
	if err := decodeReply(got, answer); err != nil {
		return inferred(CodeInternal, err, "the answer to %s cannot be read", subject)
	}
	return nil
}
