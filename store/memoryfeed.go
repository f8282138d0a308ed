package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// memoryFeed is a place in a Memory's log. It holds no commits.
type memoryFeed struct {
	log   *Memory
	name  string
	types []string
	ended chan struct{} // closed by Close, and when the name is taken over

	// Under the log's lock.
	after     uint64 // the sequence of the last entry looked at
	pending   uint64
	takenOver bool
	isClosed  bool
}

// maxFeedName is the length of the longest name of a feed.
const maxFeedName = 64

// Validate reports whether a log may be followed so. The error is an
// [*InvalidError].
func (f Follow) Validate() error {
	if len(f.Name) > maxFeedName {
		return &InvalidError{What: "feed name", Value: f.Name, Reason: "it is longer than 64 bytes"}
	}
	if countEscapes(f.Name) > 0 {
		return &InvalidError{What: "feed name", Value: f.Name, Reason: "it has other characters than letters, digits, hyphens and underscores"}
	}
	for _, t := range f.Types {
		if err := ValidateName("aggregate type", t); err != nil {
			return err
		}
	}
	return nil
}

// Follow implements [Log].
func (m *Memory) Follow(ctx context.Context, f Follow) (Feed, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("follow: %w: %w", ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if tip := m.tip(nil); f.After > tip {
		return nil, &AheadError{What: "checkpoint of feed " + f.Name, Has: f.After, Log: tip}
	}
	feed := &memoryFeed{
		log:   m,
		name:  f.Name,
		types: slices.Clone(f.Types),
		ended: make(chan struct{}),
		after: f.After.Sequence(),
	}
	if feed.after > 0 && m.entries[feed.after-1].last > f.After {
		feed.after-- // within a commit: it comes whole
	}
	feed.pending = m.countAfter(feed.types, feed.after)
	m.register(feed)
	return feed, nil
}

// register makes the feed the one of its name. It is called with the lock.
func (m *Memory) register(feed *memoryFeed) {
	if feed.name == "" {
		return
	}
	if old := m.feeds[feed.name]; old != nil {
		old.takenOver = true
		close(old.ended)
	}
	m.feeds[feed.name] = feed
}

// Next implements [Feed].
func (f *memoryFeed) Next(ctx context.Context, limit int) ([]*Commit, error) {
	if limit < 1 {
		return nil, &InvalidError{What: "limit of commits", Value: fmt.Sprint(limit), Reason: "want at least 1"}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, appended, err := f.collect(limit)
		if err != nil {
			return nil, err
		}
		if len(batch) > 0 {
			return f.decode(ctx, batch)
		}
		select {
		case <-ctx.Done():
		case <-f.ended:
		case <-appended:
		}
	}
}

// collect takes up to limit entries, and if there are none returns a channel
// that is closed at the next append.
func (f *memoryFeed) collect(limit int) ([]entry, <-chan struct{}, error) {
	m := f.log
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case f.takenOver:
		return nil, nil, fmt.Errorf("%w: feed %q was taken over", ErrUnavailable, f.name)
	case f.isClosed:
		return nil, nil, fmt.Errorf("%w: feed %q is closed", ErrUnavailable, f.name)
	}
	var batch []entry
	for f.after < uint64(len(m.entries)) && len(batch) < limit {
		e := m.entries[f.after]
		f.after++
		if f.wants(e) {
			batch = append(batch, e)
		}
	}
	if len(batch) > 0 {
		f.pending = m.countAfter(f.types, f.after)
		return batch, nil, nil
	}
	if m.appended == nil {
		m.appended = make(chan struct{})
	}
	return nil, m.appended, nil
}

func (f *memoryFeed) wants(e entry) bool {
	return len(f.types) == 0 || slices.Contains(f.types, e.stream.id.Type)
}

func (f *memoryFeed) decode(ctx context.Context, batch []entry) ([]*Commit, error) {
	commits := make([]*Commit, len(batch))
	for i, e := range batch {
		c, err := f.log.commit(ctx, e)
		if err != nil {
			return nil, cmp.Or(ctx.Err(), f.stopBefore(batch[0], e, err))
		}
		commits[i] = c
	}
	return commits, nil
}

// stopBefore makes the feed fail in the same way for ever, rather than go on
// with what comes after the damage.
func (f *memoryFeed) stopBefore(first, failed entry, cause error) error {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	f.after = first.last.Sequence() - 1
	if !errors.Is(cause, ErrDamaged) {
		return fmt.Errorf("feed: %w", cause)
	}
	return &DamageError{
		Stream:   failed.stream.id,
		Version:  failed.after + 1,
		Sequence: failed.last.Sequence(),
		Reason:   cause.Error(),
	}
}

// countAfter counts the commits of the types, or all, after a sequence. It is
// called with the lock.
func (m *Memory) countAfter(types []string, after uint64) uint64 {
	if len(types) == 0 {
		return uint64(len(m.entries)) - after
	}
	count := 0
	for i, t := range types {
		if slices.Contains(types[:i], t) {
			continue
		}
		passed, _ := slices.BinarySearch(m.types[t], after+1)
		count += len(m.types[t]) - passed
	}
	return uint64(count)
}

// Acknowledge implements [Feed]: a Memory has no operators to tell.
func (f *memoryFeed) Acknowledge(Position) {}

// Pending implements [Feed].
func (f *memoryFeed) Pending() uint64 {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	return f.pending
}

// Close implements [Feed].
func (f *memoryFeed) Close() error {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	if f.isClosed || f.takenOver {
		f.isClosed = true
		return nil
	}
	f.isClosed = true
	close(f.ended)
	if f.name != "" {
		delete(f.log.feeds, f.name)
	}
	return nil
}
