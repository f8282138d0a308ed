package kv

import (
	"context"
	"fmt"
)

// A server sends what is asked for as fast as it can, and gives a connection up that
// does not take it: by default one with 64 MiB unread. Pages are what anybody may ask
// for, as many at once as the gateway lets in, and that must not cost the node its
// connection.
const (
	// pageBytes is about how much is asked for at once: at most one message more.
	pageBytes = 4 << 20
	// maxFlows is how much of that is on its way for all views of a store.
	maxFlows = 4
)

// flows bounds what is on its way.
type flows chan struct{}

func newFlows() flows { return make(flows, maxFlows) }

// ofPage is fromAny for a part of a page, which may have to wait for its turn, and may
// get less than it asked for.
func (b *bucket) ofPage(ctx context.Context, r getRequest, room int) (answers, error) {
	select {
	case b.inbox.flows <- struct{}{}:
	case <-ctx.Done():
		return answers{}, fmt.Errorf("wait for other pages: %w", ctx.Err())
	}
	defer func() { <-b.inbox.flows }()
	r.MaxBytes = pageBytes
	return b.fromAny(ctx, r, room)
}
