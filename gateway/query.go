package gateway

import (
	"context"
	"strconv"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// defaultPage is how many documents a page has if the asker does not say.
const defaultPage = 500

// query answers a document, or a page of documents.
func (g *Gateway) query(ctx context.Context, r reading) (any, error) {
	view, key, err := g.subjects.parseQuery(r.request.path)
	if err != nil {
		return nil, err
	}
	if err := g.permit(r.request, Ask{Kind: KindQuery, View: view, ID: key, Name: "query"}); err != nil {
		return nil, err
	}
	return g.whereItRuns(ctx, r, view, func() (any, error) {
		if key == "" {
			return g.list(ctx, r, view)
		}
		return g.document(ctx, r, view, key)
	})
}

// document answers one document, now or as it was.
func (g *Gateway) document(ctx context.Context, r reading, view, key string) (any, error) {
	var ask documentRequest
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	at := ask.moment()
	if at == (projector.Moment{}) {
		d, err := g.config.Views.Get(ctx, view, key, r.headers.minPosition)
		return documentResponse{Type: typeDocument, Document: d}, err
	}
	if r.headers.minPosition > 0 {
		return nil, &store.InvalidError{What: "header " + HeaderMinPosition, Reason: "the past does not wait for the view"}
	}
	d, err := g.config.Views.GetAt(ctx, view, key, at)
	return documentResponse{Type: typeDocument, Document: d}, err
}

// list answers a page. Documents differ in size, and the cursor belongs to a
// count of them: a page that is too large for an answer is asked for again
// with half as many.
func (g *Gateway) list(ctx context.Context, r reading, view string) (any, error) {
	ask := listRequest{Limit: defaultPage}
	if err := r.body(&ask); err != nil {
		return nil, err
	}
	if ask.Limit < 1 || ask.Limit > projector.MaxPage {
		return nil, &store.InvalidError{What: "limit", Value: strconv.Itoa(ask.Limit), Reason: "out of [1, " + strconv.Itoa(projector.MaxPage) + "]"}
	}
	for {
		docs, next, err := g.config.Views.List(ctx, view, ask.Cursor, ask.Limit, r.headers.minPosition)
		if err != nil {
			return nil, err
		}
		if ask.Limit == 1 || sizeOf(docs) <= g.maxReplyBytes() {
			return listResponse{Type: typeDocuments, Documents: nonNil(docs), Next: next}, nil
		}
		ask.Limit /= 2
	}
}

// sizeOf bounds the size of a page in JSON from above: six bytes for each of a
// key, if all of it must be escaped, and the rest of the entry.
func sizeOf(docs []projector.Document) int {
	const frame, entry = 256, 64
	size := frame
	for _, d := range docs {
		size += entry + 6*len(d.Key) + len(d.Document)
	}
	return size
}

// nonNil makes an absent list [] and not null in JSON.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
