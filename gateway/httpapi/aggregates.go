package httpapi

import (
	"context"
	"net/http"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

type stateAnswer struct {
	Type string `json:"type"`
	gateway.State
}

// state returns a state from the log, now or as it was; with consistency=live
// the one that the owner has in memory, with linearizable one no older than the
// question.
func (a *api) state(ctx context.Context, r *http.Request) (answer, error) {
	id, err := streamOf(r)
	if err != nil {
		return answer{}, err
	}
	at, err := atOf(r, "at")
	if err != nil {
		return answer{}, err
	}
	s, err := a.stateAt(ctx, id, at, r.URL.Query().Get("consistency"))
	return answer{body: stateAnswer{Type: "io.annals.api.v1.aggregate_get_response", State: s}, position: s.Position}, err
}

func (a *api) stateAt(ctx context.Context, id store.StreamID, at actor.At, consistency string) (gateway.State, error) {
	invalid := func(reason string) (gateway.State, error) {
		return gateway.State{}, &store.InvalidError{What: "parameter consistency", Value: consistency, Reason: reason}
	}
	switch {
	case consistency == "":
		return a.Client.State(ctx, id, at)
	case consistency != "live" && consistency != "linearizable":
		return invalid("want live or linearizable")
	case at != actor.At{}:
		return invalid("the past is read from the log: leave it out")
	}
	return a.Client.Read(ctx, id, consistency == "linearizable")
}

// eventsAnswer is a page of a history, or of what its events changed.
type eventsAnswer[E any] struct {
	Type      string `json:"type"`
	Aggregate string `json:"aggregate"`
	ID        string `json:"id"`
	Events    []E    `json:"events"`
	Next      uint64 `json:"next,omitempty"`
}

// pageOf answers with the events that follow a version, as what is called so.
func pageOf[E any](what string, page func(context.Context, store.StreamID, uint64) ([]E, uint64, error)) handler {
	return func(ctx context.Context, r *http.Request) (answer, error) {
		id, err := streamOf(r)
		if err != nil {
			return answer{}, err
		}
		after, err := number(r, "after")
		if err != nil {
			return answer{}, err
		}
		events, next, err := page(ctx, id, after)
		body := eventsAnswer[E]{Type: "io.annals.api.v1.aggregate_" + what + "_response", Aggregate: id.Type, ID: id.ID, Events: events, Next: next}
		return answer{body: body}, err
	}
}

type infoAnswer struct {
	Type string `json:"type"`
	gateway.Info
}

func (a *api) info(ctx context.Context, _ *http.Request) (answer, error) {
	info, err := a.Client.Info(ctx)
	return answer{body: infoAnswer{Type: "io.annals.api.v1.info_response", Info: info}}, err
}
