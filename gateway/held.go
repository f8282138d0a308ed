package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

const typeHeld = "io.annals.api.v1.projection_held_response"

// heldOperation is asked where the view runs, and passed on to there.
var heldOperation = operation{"projection.held", `{"view": NAME, "subject": ID, "cursor": TEXT, "limit": N}`, typeHeld, false, (*Gateway).projectionHeld}

// heldRequest asks for a page of the rows that a view holds about a person. Empty: the first page.
type heldRequest struct {
	pageRequest
	subjectRequest
}

func (r heldRequest) validate() error {
	if _, err := store.EncodeToken(r.Subject); err != nil {
		return fmt.Errorf("data subject: %w", err)
	}
	if r.Limit < 0 || r.Limit > projector.MaxPage {
		return &store.InvalidError{What: "limit", Value: strconv.Itoa(r.Limit), Reason: "out of [1, " + strconv.Itoa(projector.MaxPage) + "]"}
	}
	return store.ValidateName("view", r.View)
}

type heldResponse struct {
	Type string `json:"type"`
	projector.HeldPage
}

// projectionHeld answers what an SQL view holds about a person. Rows differ in size: a page that is too large
// for an answer is asked for again with half as many, and of a row that is, what is in it is left out.
func (g *Gateway) projectionHeld(ctx context.Context, r reading) (any, error) {
	var ask heldRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	if err := ask.validate(); err != nil {
		return nil, err
	}
	if err := g.permit(r.request, Ask{Kind: KindPersonal, View: ask.View, ID: ask.Subject, Name: r.request.verb()}); err != nil {
		return nil, err
	}
	if ask.Limit == 0 {
		ask.Limit = defaultPage
	}
	ask.Limit = min(ask.Limit, g.config.MaxPage) // a page may be short
	return g.whereItRuns(ctx, r, ask.View, func() (any, error) { return g.held(ctx, ask, r.headers.minPosition) })
}

func (g *Gateway) held(ctx context.Context, ask heldRequest, min store.Position) (any, error) {
	for {
		page, err := g.config.Operators.Held(ctx, ask.View, ask.Subject, ask.Cursor, ask.Limit, min)
		if err != nil {
			return nil, err
		}
		page.Rows = nonNil(page.Rows)
		answer := heldResponse{Type: typeHeld, HeldPage: page}
		size, err := sizeInJSON(answer)
		switch {
		case err != nil:
			return nil, err
		case size <= g.maxReplyBytes():
			return answer, nil
		case ask.Limit == 1:
			answer.Rows = withoutData(page.Rows)
			return answer, nil
		}
		ask.Limit /= 2
	}
}

func withoutData(rows []projector.HeldRow) []projector.HeldRow {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Data, rows[i].Omitted = nil, true
	}
	return rows
}

// Held returns a page of the rows that an SQL view holds about a person, once the view has reached min, as
// [projector.Group.Held] does: cursor "" begins, Next "" ends. limit is in [1, projector.MaxPage];
// 0 means 500.
func (c *Client) Held(ctx context.Context, view, subject, cursor string, limit int, min store.Position) (projector.HeldPage, error) {
	var answer heldResponse
	ask := heldRequest{pageRequest{viewRequest{View: view}, cursor, limit}, subjectRequest{subject}}
	err := c.ask(ctx, c.subjects.control(heldOperation.verb), since(min), ask, &answer)
	return answer.HeldPage, err
}
