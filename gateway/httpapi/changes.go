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
