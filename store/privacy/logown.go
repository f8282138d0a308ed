package privacy

import (
	"bytes"
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// orOwn tells a commit that was stored by an earlier try from one that was not: sealed
// twice, it has other bytes, by which the log below knows it no more. If the
// commit that follows c.After is not c, or there is none, it returns the error, which
// says that nothing was stored; if that cannot be told, whatever the cause, the outcome is unknown.
func (l *Log) orOwn(ctx context.Context, c *store.Commit, otherwise error) (store.Head, error) {
	for found, err := range l.log.Read(ctx, c.Stream, c.After) {
		if err != nil {
			return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("look for the commit: %w", err)}
		}
		if found.ID != c.ID {
			break
		}
		if _, err := l.open(ctx, []*store.Commit{found}); err != nil {
			return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("look at the commit: %w", err)}
		}
		if !same(found, c) {
			break
		}
		c.Sequence, c.Local, c.Hash = found.Sequence, found.Local, found.Hash
		keyed(c, cameUnder(found))
		return found.Head(), nil
	}
	return store.Head{}, otherwise
}

// same reports whether the stored commit, opened, is c, as far as it was not forgotten.
func same(stored, c *store.Commit) bool {
	if len(stored.Events) != len(c.Events) || len(stored.Commands) != len(c.Commands) {
		return false
	}
	for i := range c.Commands {
		if stored.Commands[i].ID != c.Commands[i].ID {
			return false
		}
	}
	for i := range c.Events {
		a, b := &stored.Events[i], &c.Events[i]
		whole := len(a.Personal) == len(b.Personal)
		if a.Type != b.Type || a.Schema != b.Schema || a.Command != b.Command || whole && !bytes.Equal(a.Data, b.Data) {
			return false
		}
	}
	return true
}
