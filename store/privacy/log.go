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

	unsettled unsettled
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

// Append implements [store.Log]. While keys cannot be had it waits for them, for three
// seconds or for half of what ctx leaves it, if that is less, and without a deadline as
// long as it waits for the log. Then the commit is refused as unavailable if it is not in
// the log, from an earlier try; if one by this Log ended unknown and nothing follows c.After, that it is not
// cannot be told, and the outcome stays unknown. So it does for all else that keeps c from being sealed. A node that lacks a wrapping key does
// not wait for an operator: the commit is refused for that reason, a [*WrappingError]. A commit with data of more subjects than
// [KeyringConfig.Subjects] is refused as too large, and nobody gets a key.
func (l *Log) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if !personal(c) || !sealable(c) {
		return l.log.Append(ctx, c)
	}
	waiting, cancel := patience(ctx)
	defer cancel()
	pause := firstPause
	for {
		head, err := l.append(ctx, waiting, c)
		if err == nil || !errors.Is(err, errNoKeys) {
			return head, err
		}
		select {
		case <-ctx.Done():
			return store.Head{}, unknown(c, fmt.Errorf("%w: %w", context.Cause(ctx), err))
		case <-waiting.Done():
			return l.orOwn(ctx, c, &store.RefusedError{Stream: c.Stream, Reason: err})
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		}
	}
}

// patience bounds how long an append waits for keys, so that time is left for the log to
// say what became of it.
func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ends := ctx.Deadline()
	if !ends {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, min(mostPatience, time.Until(end)/2))
}

// mostPatience is less than callers usually have: they are told that nothing was stored.
const mostPatience = 3 * time.Second

// The pauses between tries to get keys.
const (
	firstPause = 20 * time.Millisecond
	mostPause  = time.Second
)

// errNoKeys says that nothing was tried because keys could not be had.
var errNoKeys = errors.New("no keys")

// append tries once, waiting for keys no longer than waiting lasts.
func (l *Log) append(ctx, waiting context.Context, c *store.Commit) (store.Head, error) {
	if err := l.keys.still(waiting, c.Rests); err != nil { // before anybody gets a key for nothing
		return l.notSealed(ctx, c, err)
	}
	sealed, used, err := l.seal(waiting, c)
	if err != nil {
		return l.notSealed(ctx, c, err)
	}
	if err := l.keys.notErased(waiting, cameUnder(c)); err != nil {
		return l.notSealed(ctx, c, err)
	}
	if err := l.notOlder(c, used); err != nil {
		return l.notSealed(ctx, c, err)
	}
	rests := append(used, c.Rests...)
	if err := l.enter(waiting, rests); err != nil {
		return l.notSealed(ctx, c, err)
	}
	head, err := l.log.Append(ctx, sealed)
	l.keys.leave(rests)
	switch {
	case err == nil:
		l.unsettled.settle(c.ID)
		c.Sequence, c.Local, c.Hash = sealed.Sequence, sealed.Local, sealed.Hash
		keyed(c, used)
	case errors.Is(err, store.ErrUnknown):
		l.unsettled.note(c.ID)
	case errors.Is(err, store.ErrConflict) && len(used) > 0:
		if head, err = l.orOwn(ctx, c, err); errors.Is(err, store.ErrUnknown) {
			l.unsettled.note(c.ID)
		}
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
