package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// orOwn tells a commit that was stored by an earlier try from one that was not: sealed
// twice, it has other bytes, by which the log below knows it no more. If the
// commit that follows c.After is not c, or there is none, it returns the error, which
// says that nothing was stored; if that cannot be told, whatever the cause, the outcome is unknown.
// That nothing follows may be what a server says that leads no more, so it is asked again;
// if the error itself says that something does, nothing else is believed, nor if an earlier try
// of c by this Log ended unknown: it may be stored, whatever keeps this one from being sealed.
func (l *Log) orOwn(ctx context.Context, c *store.Commit, otherwise error) (store.Head, error) {
	head, err := l.lookForOwn(ctx, c, otherwise)
	if errors.Is(err, store.ErrUnknown) {
		return head, err
	}
	l.unsettled.settle(c.ID)
	return head, err
}

func (l *Log) lookForOwn(ctx context.Context, c *store.Commit, otherwise error) (store.Head, error) {
	pause := firstPause
	for try := 1; ; try++ {
		head, err := l.own(ctx, c, otherwise)
		if !errors.Is(err, errNoneFollows) {
			return head, err
		}
		longer := endsAfter(otherwise, c.After.Version) || l.unsettled.has(c.ID)
		switch {
		case !longer && try == emptyTries:
			return store.Head{}, otherwise
		case try == staleTries:
			return store.Head{}, unknown(c, fmt.Errorf("look for the commit: %w, and the log said: %v", err, otherwise)) //nolint:errorlint // it is no conflict
		}
		select {
		case <-ctx.Done():
			return store.Head{}, unknown(c, fmt.Errorf("look for the commit: %w", context.Cause(ctx)))
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		}
	}
}

// How often it is asked what follows, at most, before it is believed that nothing does, and
// before it is given up where that cannot be.
const (
	emptyTries = 2
	staleTries = 8
)

// errNoneFollows says that nothing was found after a commit, or not even that one.
var errNoneFollows = errors.New("nothing follows")

// endsAfter reports whether an error says that the stream goes on beyond a version.
func endsAfter(err error, version uint64) bool {
	conflict, is := errors.AsType[*store.ConflictError](err)
	return is && conflict.Actual > version
}

// own looks once.
func (l *Log) own(ctx context.Context, c *store.Commit, otherwise error) (store.Head, error) {
	for found, err := range l.log.Read(ctx, c.Stream, c.After) {
		if err != nil {
			return store.Head{}, l.notAfter(ctx, c, err, otherwise)
		}
		if found.ID != c.ID {
			return store.Head{}, otherwise
		}
		if _, err := l.open(ctx, []*store.Commit{found}); err != nil {
			return store.Head{}, unknown(c, fmt.Errorf("look at the commit: %w", err))
		}
		if !same(found, c) {
			return store.Head{}, otherwise
		}
		c.Sequence, c.Local, c.Hash = found.Sequence, found.Local, found.Hash
		keyed(c, cameUnder(found))
		return found.Head(), nil
	}
	return store.Head{}, errNoneFollows
}

// notAfter judges a commit when it cannot be read what follows c.After. A stream that
// ends before has nothing that does. One that is said to be damaged may be whole, and
// c.After no commit of it: then nothing in it is c.
func (l *Log) notAfter(ctx context.Context, c *store.Commit, cause, otherwise error) error {
	if errors.Is(cause, store.ErrAhead) {
		return errNoneFollows
	}
	damaged := errors.Is(cause, store.ErrDamaged)
	cause = unknown(c, fmt.Errorf("look for the commit: %w", cause))
	if !damaged {
		return cause
	}
	var end uint64
	for found, err := range l.log.Read(ctx, c.Stream, store.Head{}) {
		if err != nil || found.ID == c.ID {
			return cause
		}
		end = found.Head().Version
	}
	if endsAfter(otherwise, end) {
		return cause
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
