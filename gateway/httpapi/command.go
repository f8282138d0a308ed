package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// commandAnswer has the members of the answer over NATS.
type commandAnswer struct {
	Type      string             `json:"type"`
	Aggregate string             `json:"aggregate"`
	ID        string             `json:"id"`
	Version   uint64             `json:"version"`
	Position  store.Position     `json:"position"`
	Events    []string           `json:"events"`
	Duplicate bool               `json:"duplicate"`
	Views     []gateway.ViewWait `json:"views,omitempty"`
}

// command sends a command. The header Annals-Wait-Views, or the parameter
// wait_for, names views that the answer waits for; the answer says of each
// whether it has what the command did, which took effect either way.
func (a *api) command(ctx context.Context, r *http.Request) (answer, error) {
	request, err := commandOf(r)
	if err != nil {
		return answer{}, err
	}
	views := listed(r.Header.Get(gateway.HeaderWaitViews) + "," + r.URL.Query().Get("wait_for"))
	var sent gateway.Sent
	if len(views) > 0 {
		sent, err = a.Client.SendAndWait(ctx, request, views...)
	} else {
		sent.Result, err = a.Client.Send(ctx, request)
	}
	if err != nil {
		return answer{}, err
	}
	body := commandAnswer{
		Type: "io.annals.api.v1.command_response", Aggregate: request.Stream.Type, ID: request.Stream.ID,
		Version: sent.Version, Position: sent.Position, Events: sent.Events, Duplicate: sent.Duplicate, Views: sent.Views,
	}
	if body.Events == nil {
		body.Events = []string{}
	}
	return answer{body: body, position: sent.Position}, nil
}

func commandOf(r *http.Request) (c gateway.Request, err error) {
	if c.Stream, err = streamOf(r); err != nil {
		return c, err
	}
	c.Name = r.PathValue("command")
	if c.Codec, err = codecOf(r); err != nil {
		return c, err
	}
	if c.Body, err = bodyOf(r); err != nil {
		return c, err
	}
	if text := r.Header.Get(gateway.HeaderSchema); text != "" {
		if c.Schema, err = gateway.ParseSchema(text); err != nil {
			return c, err
		}
	}
	c.Options, err = optionsOf(r.Header)
	return c, err
}

// optionsOf reads what a command may carry beside its body. Idempotency-Key is
// another name of Annals-Command-Id, for clients that know that one.
func optionsOf(h http.Header) (o gateway.Options, err error) {
	o = gateway.Options{
		ID:            h.Get(gateway.HeaderCommandID),
		CorrelationID: h.Get(gateway.HeaderCorrelationID),
		CausationID:   h.Get(gateway.HeaderCausationID),
		Traceparent:   h.Get(gateway.HeaderTraceparent),
		Corrects:      h.Get(gateway.HeaderCorrects),
	}
	if o.ID == "" {
		o.ID = h.Get("Idempotency-Key")
	}
	if text := h.Get(gateway.HeaderExpectedVersion); text != "" {
		if o.Expected, err = strconv.ParseUint(text, 10, 64); err != nil {
			return o, &store.InvalidError{What: "header " + gateway.HeaderExpectedVersion, Value: text, Reason: "want a decimal number"}
		}
		o.HasExpected = true
	}
	switch text := h.Get(gateway.HeaderOnConflict); text {
	case "", "fail":
	case "retry":
		o.OnConflict = actor.Retry
	case "merge":
		o.OnConflict = actor.Merge
	default:
		return o, &store.InvalidError{What: "header " + gateway.HeaderOnConflict, Value: text, Reason: "want fail, retry or merge"}
	}
	return o, nil
}
