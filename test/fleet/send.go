package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Client is what the load needs of a [gateway.Client].
type Client interface {
	// Send sends a command until its outcome is certain or ctx ends.
	Send(ctx context.Context, r gateway.Request) (actor.Result, error)
	// Read asks for a state, with a barrier if linearizable.
	Read(ctx context.Context, id store.StreamID, linearizable bool) (gateway.State, error)
}

// stream returns the full name of an application.
func stream(id string) store.StreamID {
	return store.StreamID{Type: application.Applications.Type, ID: id}
}

// Do sends the command of o, waits at most until the deadline is over, and
// notes what came of it.
func (h *History) Do(ctx context.Context, c Client, o *Op, deadline time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	h.send(o)
	h.answer(o, send(ctx, c, o))
}

// send sends the command of o and says what came of it.
func send(ctx context.Context, c Client, o *Op) Answer {
	encoded, err := application.Applications.Commands.Encode(store.MsgPack, o.Command)
	if err != nil {
		return Answer{Outcome: Unexpected, Text: err.Error()}
	}
	result, err := c.Send(ctx, gateway.Request{
		Stream: stream(o.Stream), Name: encoded.Name, Body: encoded.Data, Codec: store.MsgPack, Options: gateway.Options{ID: o.ID},
	})
	return answerOf(result, err)
}

// answerOf says what a sender may conclude.
func answerOf(result actor.Result, err error) Answer {
	switch {
	case err == nil:
		return Answer{Outcome: OK, Result: result}
	case errors.Is(err, store.ErrUnknown):
		return Answer{Outcome: Unknown, Text: err.Error()}
	case errors.Is(err, actor.ErrRejected):
		return Answer{Outcome: Rejected, Text: err.Error()}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, actor.ErrBusy), errors.Is(err, actor.ErrDeadline):
		return Answer{Outcome: Unavailable, Text: err.Error()}
	}
	return Answer{Outcome: Unexpected, Text: err.Error()}
}
