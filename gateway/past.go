package gateway

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// documentRequest asks for a document as it was. Empty: as it is.
type documentRequest struct {
	AtPosition store.Position `json:"at_position,omitempty"`
	AtTime     time.Time      `json:"at_time,omitzero"`
}

func (r documentRequest) moment() projector.Moment {
	return projector.Moment{Position: r.AtPosition, Time: r.AtTime}
}

// GetAt returns a document of a view as it was at a moment, which is folded from
// the log: that takes as long as the part of the log is long that the view follows,
// and ctx bounds it. Errors: those of [Client.Get], [store.ErrInvalid] for a
// position beyond the log's end and for views that have no documents,
// projector.ErrBusy if too many ask for the past.
func (c *Client) GetAt(ctx context.Context, view, key string, at projector.Moment) (projector.Document, error) {
	token, err := store.EncodeToken(key)
	if err != nil {
		return projector.Document{}, err
	}
	if err := store.ValidateName("view", view); err != nil {
		return projector.Document{}, err
	}
	if at == (projector.Moment{}) {
		return projector.Document{}, &store.InvalidError{What: "moment", Reason: "it has neither a position nor a time"}
	}
	var r documentResponse
	ask := documentRequest{AtPosition: at.Position, AtTime: at.Time}
	err = c.ask(ctx, c.subjects.document(view, token), nats.Header{}, ask, &r)
	return r.Document, err
}
