package jetstream

import (
	"bytes"
	"context"
	"errors"

	"github.com/annals-go/annals/store"
)

// settle finds out whether the log holds this very commit, from an earlier try,
// or another one in its place. It returns 0 and nil when that cannot be told
// yet: that a leader does not know what the one that refused knew proves nothing.
func (a *appending) settle(ctx context.Context) (uint64, error) {
	expected := a.commit.After.Sequence
	last, err := a.log.fetch(ctx, a.stream.leaderGet, lastOn(a.message.Subject))
	if errors.Is(err, errNone) {
		last, err = &message{}, nil
	}
	if err != nil || last.sequence == expected {
		return 0, nil //nolint:nilerr // who cannot be asked tells nothing
	}
	if last.sequence < expected {
		return 0, a.tooShort(last)
	}
	first := last
	if !last.attested || last.before != expected {
		if first, err = a.log.fetch(ctx, a.stream.leaderGet, nextOn(a.message.Subject, expected+1)); err != nil {
			return 0, nil //nolint:nilerr // the same
		}
	}
	if bytes.Equal(first.data, a.message.Data) {
		return first.sequence, nil
	}
	if sequence, err := a.archived(ctx, first); sequence > 0 || err != nil {
		return sequence, err
	}
	return 0, a.conflict(last)
}

// archived looks into the archive if what followed the expectation was truncated:
// first, the first that the log has behind it, follows another. It returns 0 and
// nil if the commit was not stored.
func (a *appending) archived(ctx context.Context, first *message) (uint64, error) {
	c, err := store.DecodeCommit(a.log.cfg.Codec, first.data, first.local)
	if err != nil || c.After.Sequence <= a.commit.After.Sequence {
		return 0, nil //nolint:nilerr // conflict names the damage if it matters
	}
	own, hash := uint64(0), store.HashOf(a.message.Data)
	_, err = store.ReadArchived(ctx, a.log.cfg.Archive, a.commit.Stream, a.commit.After, c.After, func(found *store.Commit) error {
		if found.Hash == hash {
			own = found.Local
		}
		return errStopped
	})
	if errors.Is(err, errStopped) {
		return own, nil
	}
	return 0, a.giveUp(err)
}

// tooShort judges a stream that ends before the head that the commit follows.
// A deposed leader would say so too, so a replicated log is asked again; and
// while a try is open, nothing it says is the last word.
func (a *appending) tooShort(last *message) error {
	a.shorts++
	if a.open > 0 || a.log.replicas > 1 && a.shorts <= aheadTries {
		return nil
	}
	return a.conflict(last)
}

// conflict says where the stream ends instead.
func (a *appending) conflict(last *message) error {
	e := &store.ConflictError{Stream: a.commit.Stream, Expected: a.commit.After.Version}
	if last.sequence == 0 {
		return e
	}
	c, err := store.DecodeCommit(a.log.cfg.Codec, last.data, last.sequence)
	if err != nil {
		version := a.commit.After.Version + 1
		place, _ := a.log.order.remembered(a.log.names.streamOf(e.Stream), last.local)
		return a.refused(&store.DamageError{Stream: e.Stream, Version: version, Sequence: place, Reason: err.Error()})
	}
	e.Actual = c.Head().Version
	return e
}
