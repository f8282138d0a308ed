package gateway

import (
	"context"
	"iter"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// pages yields what several answers hold, from the page that follows a cursor to the
// one whose next is the zero cursor. The last pair has the error, if any.
func pages[T any, C comparable](cursor C, ask func(cursor C) (page []T, next C, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var end C
		for at := cursor; ; {
			page, next, err := ask(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, t := range page {
				if !yield(t, nil) {
					return
				}
			}
			if at = next; at == end {
				return
			}
		}
	}
}

// eventPage asks for as many of an instance's events that follow a version as one
// answer holds.
func (c *Client) eventPage(ctx context.Context, verb string, id store.StreamID, after uint64, page any) error {
	if err := id.Validate(); err != nil {
		return err
	}
	ask := historyRequest{Aggregate: id.Type, ID: id.ID, After: after, Limit: maxHistoryPage}
	return c.ask(ctx, c.subjects.control(verb), nats.Header{}, ask, page)
}
