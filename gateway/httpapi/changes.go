package httpapi

import (
	"context"
	"net/http"

	"github.com/annals-go/annals/gateway"
)

type diffAnswer struct {
	Type string `json:"type"`
	gateway.Difference
}

// diff returns what became of an aggregate between two moments; one that is not
// named is now.
func (a *api) diff(ctx context.Context, r *http.Request) (answer, error) {
	id, err := streamOf(r)
	if err != nil {
		return answer{}, err
	}
	from, err := atOf(r, "from")
	if err != nil {
		return answer{}, err
	}
	to, err := atOf(r, "to")
	if err != nil {
		return answer{}, err
	}
	d, err := a.Client.Diff(ctx, id, from, to)
	return answer{body: diffAnswer{Type: "io.annals.api.v1.aggregate_diff_response", Difference: d}, position: d.To.Position}, err
}

type changesAnswer struct {
	Type      string            `json:"type"`
	Aggregate string            `json:"aggregate"`
	ID        string            `json:"id"`
	Events    []gateway.Changed `json:"events"`
	Next      uint64            `json:"next,omitempty"`
}

func (a *api) changes(ctx context.Context, r *http.Request) (answer, error) {
	id, err := streamOf(r)
	if err != nil {
		return answer{}, err
	}
	after, err := number(r, "after")
	if err != nil {
		return answer{}, err
	}
	events, next, err := a.Client.ChangesPage(ctx, id, after)
	return answer{body: changesAnswer{Type: "io.annals.api.v1.aggregate_changes_response", Aggregate: id.Type, ID: id.ID, Events: events, Next: next}}, err
}
