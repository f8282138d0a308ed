package httpapi

import (
	"context"
	"net/http"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// documentAnswer and the types below have the members of the answers over NATS.
type documentAnswer struct {
	Type string `json:"type"`
	projector.Document
}

func (a *api) document(ctx context.Context, r *http.Request) (answer, error) {
	least, err := minPosition(r)
	if err != nil {
		return answer{}, err
	}
	at, err := momentOf(r)
	if err != nil {
		return answer{}, err
	}
	d, err := a.documentAt(ctx, r, least, at)
	return answer{body: documentAnswer{Type: "io.annals.api.v1.document_response", Document: d}, position: d.Position}, err
}

func (a *api) documentAt(ctx context.Context, r *http.Request, least store.Position, at projector.Moment) (projector.Document, error) {
	view, key := r.PathValue("view"), r.PathValue("key")
	switch {
	case at == projector.Moment{}:
		return a.Client.Get(ctx, view, key, least)
	case least > 0:
		return projector.Document{}, &store.InvalidError{What: "parameter min_position", Reason: "the past does not wait for the view: leave it out"}
	}
	return a.Client.GetAt(ctx, view, key, at)
}

type pageAnswer struct {
	Type      string               `json:"type"`
	Documents []projector.Document `json:"documents"`
	Next      string               `json:"next"`
}

func (a *api) page(ctx context.Context, r *http.Request) (answer, error) {
	least, err := minPosition(r)
	if err != nil {
		return answer{}, err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return answer{}, err
	}
	// A limit that is out of range stays so, for the gateway to refuse.
	docs, next, err := a.Client.Page(ctx, r.PathValue("view"), r.URL.Query().Get("cursor"), int(min(limit, projector.MaxPage+1)), least)
	if docs == nil {
		docs = []projector.Document{}
	}
	return answer{body: pageAnswer{Type: "io.annals.api.v1.document_list_response", Documents: docs, Next: next}}, err
}

type waitQuestion struct {
	Position store.Position `json:"position"`
	Views    []string       `json:"views"`
}

type waitAnswer struct {
	Type string `json:"type"`
	waitQuestion
}

func (a *api) wait(ctx context.Context, r *http.Request) (answer, error) {
	if _, err := codecOf(r); err != nil {
		return answer{}, err
	}
	body, err := bodyOf(r)
	if err != nil {
		return answer{}, err
	}
	var q waitQuestion
	if err := store.JSON.Unmarshal(body, &q, false); err != nil {
		return answer{}, err
	}
	err = a.Client.Wait(ctx, q.Position, q.Views...)
	return answer{body: waitAnswer{Type: "io.annals.api.v1.wait_response", waitQuestion: q}, position: q.Position}, err
}

type projectionsAnswer struct {
	Type        string             `json:"type"`
	Projections []projector.Status `json:"projections"`
}

func (a *api) projections(ctx context.Context, _ *http.Request) (answer, error) {
	all, err := a.Client.Projections(ctx)
	return answer{body: projectionsAnswer{Type: "io.annals.api.v1.projection_ls_response", Projections: all}}, err
}
