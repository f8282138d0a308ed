package migrate

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// nowhere is the loader of a dry run: it encodes what storing would encode.
type nowhere struct {
	codec store.Codec
	end   uint64
}

// End implements [Loader]: a dry run finds nothing.
func (n *nowhere) End() uint64 { return n.end }

// Place implements [Loader].
func (n *nowhere) Place(_ context.Context, c *store.Commit) (store.Head, error) {
	stored, err := store.EncodeCommit(n.codec, plain(c)) // what sealing adds is not counted
	if err != nil {
		return store.Head{}, fmt.Errorf("encode the commit for sequence %d: %w", n.end+1, err)
	}
	n.end++
	c.Sequence, c.Local, c.Hash = n.end, n.end, store.HashOf(stored)
	return c.Head(), nil
}

// Flush implements [Loader].
func (n *nowhere) Flush(context.Context) error { return nil }
