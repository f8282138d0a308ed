package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// Log is a [store.Log] whose personal data are sealed where they are stored: it seals
// what [store.Event.Personal] and [store.Command.Personal] name, and opens it for whoever reads or
// follows. All else it passes on to the log below. What is read from the log below directly,
// for a backup or an archive, is sealed.
type Log struct {
	log   store.Log
	keys  *Keyring
	older bool // what is appended may be older than erasures
}

var (
	_ store.Log       = (*Log)(nil)
	_ store.Truncater = (*Log)(nil)
)

// NewLog returns a log that stands before another one. From now on the keyring compares what
// the key store says with the notices ([Notice]) that are in the log below, or in that of the
// last call, if there are several.
func NewLog(log store.Log, keys *Keyring) *Log {
	keys.compare(log)
	return &Log{log: log, keys: keys}
}

// Unwrap returns the log below, in which personal data are sealed.
func (l *Log) Unwrap() store.Log { return l.log }

// Partitions implements [store.Log].
func (l *Log) Partitions() int { return l.log.Partitions() }

// Codec implements [store.Log].
func (l *Log) Codec() store.Codec { return l.log.Codec() }

// Tip implements [store.Log].
func (l *Log) Tip(ctx context.Context, types ...string) (store.Position, error) {
	return l.log.Tip(ctx, types...)
}

// Truncate implements [store.Truncater], if the log below does. The error matches
// [errors.ErrUnsupported] otherwise.
func (l *Log) Truncate(ctx context.Context, id store.StreamID, below store.Head) error {
	t, ok := l.log.(store.Truncater)
	if !ok {
		return fmt.Errorf("truncate: %w", errors.ErrUnsupported)
	}
	return t.Truncate(ctx, id, below)
}

// Append implements [store.Log]. While keys cannot be had it waits, as it does for the
// log, until ctx ends; then the outcome is unknown. A node that lacks a wrapping key does
// not wait for an operator: the commit is refused for that reason, a [*WrappingError]. A commit with data of more subjects than
// [KeyringConfig.Subjects] is refused as too large, and nobody gets a key.
func (l *Log) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if !personal(c) || !sealable(c) {
		return l.log.Append(ctx, c)
	}
	pause := firstPause
	for {
		head, err := l.append(ctx, c)
		if err == nil || !errors.Is(err, errNoKeys) {
			return head, err
		}
		select {
		case <-ctx.Done():
			return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("%w: %w", context.Cause(ctx), err)}
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		}
	}
}

// The pauses between tries to get keys.
const (
	firstPause = 20 * time.Millisecond
	mostPause  = time.Second
)

// errNoKeys says that nothing was tried because keys could not be had.
var errNoKeys = errors.New("no keys")

// append tries once.
func (l *Log) append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if err := l.keys.still(ctx, c.Rests); err != nil { // before anybody gets a key for nothing
		return l.notSealed(ctx, c, err)
	}
	sealed, used, err := l.seal(ctx, c)
	if err != nil {
		return l.notSealed(ctx, c, err)
	}
	if err := l.keys.notErased(ctx, cameUnder(c)); err != nil {
		return l.notSealed(ctx, c, err)
	}
	if err := l.notOlder(c, used); err != nil {
		return l.notSealed(ctx, c, err)
	}
	rests := append(used, c.Rests...)
	if err := l.enter(ctx, rests); err != nil {
		return l.notSealed(ctx, c, err)
	}
	head, err := l.log.Append(ctx, sealed)
	l.keys.leave(rests)
	switch {
	case err == nil:
		c.Sequence, c.Local, c.Hash = sealed.Sequence, sealed.Local, sealed.Hash
		keyed(c, used)
	case errors.Is(err, store.ErrConflict) && len(used) > 0:
		return l.orOwn(ctx, c, err)
	}
	return head, err
}

// enter begins an append that rests on keys, all of which hold.
func (l *Log) enter(ctx context.Context, refs []store.KeyRef) error {
	if entered, err := l.keys.enterHeld(refs); entered || err != nil {
		return err
	}
	for {
		gaps, err := l.keys.confirm(ctx, refs)
		if err != nil {
			return err
		}
		again, err := l.keys.enter(refs, gaps)
		if err != nil || !again {
			return err
		}
	}
}

// notSealed says what it means for an append that its data were not sealed.
func (l *Log) notSealed(ctx context.Context, c *store.Commit, err error) (store.Head, error) {
	refused := &store.RefusedError{Stream: c.Stream, Reason: err}
	_, lacks := errors.AsType[*WrappingError](err)
	switch {
	case errors.Is(err, store.ErrErased):
		return l.orOwn(ctx, c, fmt.Errorf("append %s: %w", c.Stream, err)) // an earlier try may have come before the erasure
	case lacks:
		return l.orOwn(ctx, c, refused) // and one before the wrapping key changed
	case errors.Is(err, store.ErrUnavailable):
		return store.Head{}, fmt.Errorf("%w: %w", errNoKeys, err)
	case errors.Is(err, store.ErrInvalid): // as each try of it is
		return store.Head{}, refused
	}
	return l.orOwn(ctx, c, refused) // and one before its key was lost
}
