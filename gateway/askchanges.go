package gateway

import (
	"context"
	"iter"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Diff returns what became of an aggregate instance between two moments; from
// may be the later one, and the zero At is now. Errors: [store.ErrNotFound] if it
// had no events at one of them, [store.ErrUnknownType], [store.ErrInvalid] if it
// never had such a version, [store.ErrTooLarge] if the changes are more than an
// answer holds, [store.ErrUnavailable].
func (c *Client) Diff(ctx context.Context, id store.StreamID, from, to actor.At) (Difference, error) {
	if err := id.Validate(); err != nil {
		return Difference{}, err
	}
	var r diffResponse
	ask := diffRequest{Aggregate: id.Type, ID: id.ID, From: momentOf(from), To: momentOf(to)}
	err := c.ask(ctx, c.subjects.control("aggregate.diff"), nats.Header{}, ask, &r)
	return r.Difference, err
}

// ChangesPage returns what the events of an aggregate instance changed that
// follow the version after, as many as one answer holds, and the version after
// which the next page begins, 0 if this is the last. Errors: those of
// [Client.HistoryPage].
func (c *Client) ChangesPage(ctx context.Context, id store.StreamID, after uint64) (events []Changed, next uint64, err error) {
	var page changesResponse
	err = c.eventPage(ctx, "aggregate.changes", id, after, &page)
	return page.Events, page.Next, err
}

// Changes yields what the events of an aggregate instance changed that follow the
// version after, page by page. The last pair has the error, if any: those of
// ChangesPage.
func (c *Client) Changes(ctx context.Context, id store.StreamID, after uint64) iter.Seq2[Changed, error] {
	return pages(after, func(after uint64) ([]Changed, uint64, error) { return c.ChangesPage(ctx, id, after) })
}
