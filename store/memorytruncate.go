package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Truncate implements [Truncater].
func (m *Memory) Truncate(ctx context.Context, id StreamID, below Head) error {
	if err := id.Validate(); err != nil {
		return err
	}
	first, ok := m.firstHead(id)
	if ok && first.Version >= below.Version {
		return nil
	}
	after, err := m.tail(id, below)
	if err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	if !ok || len(after) == 0 {
		return &InvalidError{What: "end of a truncation of", Value: id.String(), Reason: fmt.Sprintf("no commit follows version %d", below.Version)}
	}
	if err := after[0].follows(m.config.Codec, id, below); err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	if _, err := ReadArchived(ctx, m.config.Archive, id, first, below, func(*Commit) error { return nil }); err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	m.forget(id, below)
	return nil
}

// firstHead returns what the first commit builds on that the log still has.
func (m *Memory) firstHead(id StreamID) (Head, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[id]
	if s == nil {
		return Head{}, false
	}
	for _, sequence := range s.commits {
		e := m.entries[sequence-1]
		if e.truncated {
			continue
		}
		c, err := DecodeCommit(m.config.Codec, bytes.Clone(e.stored), sequence)
		if err != nil {
			return Head{Version: e.after}, true
		}
		return c.After, true
	}
	return Head{}, false
}

// follows reports whether the entry is the commit after head.
func (e *entry) follows(codec Codec, id StreamID, head Head) error {
	_, err := DecodeNext(codec, bytes.Clone(e.stored), e.last.Sequence(), id, head)
	return err
}

func (m *Memory) forget(id StreamID, below Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sequence := range m.streams[id].commits {
		if sequence > below.Sequence {
			return
		}
		e := &m.entries[sequence-1]
		e.stored, e.truncated = nil, true
	}
}

// readArchived yields those of a stream's entries that were truncated, and
// returns the rest with the head that it follows.
func (m *Memory) readArchived(ctx context.Context, id StreamID, head Head, rest []entry, yield func(*Commit) bool) ([]entry, Head, error) {
	n := 0
	for n < len(rest) && rest[n].truncated {
		n++
	}
	if n == 0 {
		return rest, head, nil
	}
	// The last commit is never truncated, so there is one after them.
	next, err := DecodeCommit(m.config.Codec, bytes.Clone(rest[n].stored), rest[n].last.Sequence())
	if err != nil {
		return nil, head, &DamageError{Stream: id, Version: rest[n].after + 1, Sequence: rest[n].last.Sequence(), Reason: err.Error()}
	}
	head, err = ReadArchived(ctx, m.config.Archive, id, head, next.After, func(c *Commit) error {
		if !yield(c) {
			return errStopped
		}
		return nil
	})
	return rest[n:], head, err
}

// commit returns the commit of an entry, from the archive if it was truncated.
func (m *Memory) commit(ctx context.Context, e entry) (found *Commit, err error) {
	sequence := e.last.Sequence()
	if !e.truncated {
		return DecodeCommit(m.config.Codec, bytes.Clone(e.stored), sequence)
	}
	_, err = ReadArchivedBetween(ctx, m.config.Archive, sequence-1, sequence+1, func(c *Commit) error {
		found = c
		return nil
	})
	return found, err
}

// archivedOwn reports whether the commit that follows c.After, which was
// truncated, is c.
func (m *Memory) archivedOwn(ctx context.Context, c *Commit, hash Hash) (bool, error) {
	var own bool
	_, err := ReadArchived(ctx, m.config.Archive, c.Stream, c.After, Head{Version: c.After.Version + 1}, func(found *Commit) error {
		own = found.Hash == hash
		return errStopped
	})
	if !errors.Is(err, errStopped) {
		return false, err
	}
	return own, nil
}
