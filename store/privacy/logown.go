package privacy

import (
	"bytes"
	"context"
	"errors"
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
			return store.Head{}, l.notAfter(ctx, c, err, otherwise)
		}
		if found.ID != c.ID {
			break
		}
		if _, err := l.open(ctx, []*store.Commit{found}); err != nil {
			return store.Head{}, unknown(c, fmt.Errorf("look at the commit: %w", err))
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

// notAfter judges a commit when it cannot be read what follows c.After. A stream that
// ends before has nothing that does. One that is said to be damaged may be whole, and
// c.After no commit of it: then nothing in it is c.
func (l *Log) notAfter(ctx context.Context, c *store.Commit, cause, otherwise error) error {
	cause = unknown(c, fmt.Errorf("look for the commit: %w", cause))
	if errors.Is(cause, store.ErrAhead) {
		return otherwise
	}
	if !errors.Is(cause, store.ErrDamaged) {
		return cause
	}
	for found, err := range l.log.Read(ctx, c.Stream, store.Head{}) {
		if err != nil || found.ID == c.ID {
			return cause
		}
	}
	return otherwise
}

func unknown(c *store.Commit, cause error) error {
	return &store.UnknownError{Stream: c.Stream, Reason: cause}
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
