package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// MemoryConfig says what a [Memory] is like. The zero value is usable.
type MemoryConfig struct {
	// Codec is how values are encoded. Default: [MsgPack].
	Codec Codec
	// Partitions is how many partitions streams are spread over. Default: 128,
	// as in every log.
	Partitions int
	// Archive is what the log may be truncated to, and reads on in. Default: none;
	// the log is never truncated.
	Archive Archive
	// SnapshotBytes is the largest snapshot that is kept, in bytes as it is
	// stored. Default, and at most, [MaxSnapshotBytes].
	SnapshotBytes int
}

// defaultPartitions is a number that no cluster has nodes for, and small enough
// that there can be a lease for each.
const defaultPartitions = 128

func (c MemoryConfig) withDefaults() MemoryConfig {
	if c.Codec == nil {
		c.Codec = MsgPack
	}
	if c.Partitions <= 0 {
		c.Partitions = defaultPartitions
	}
	if c.SnapshotBytes <= 0 {
		c.SnapshotBytes = MaxSnapshotBytes
	}
	return c
}

// Memory is a [Log], with its [Snapshots], in the memory of the process: for
// tests, and for data that may be lost. It holds commits and snapshots as they
// would be stored, encoded and chained. It starts no goroutine and works in a
// bubble of testing/synctest. What it holds grows with what is appended, as a
// log does; nothing else of it is unbounded.
type Memory struct {
	config MemoryConfig

	mu        sync.Mutex
	entries   []entry // the commit at sequence s is entries[s-1]
	streams   map[StreamID]*memoryStream
	types     map[string][]uint64 // the sequences of each aggregate type's commits
	snapshots map[StreamID][]byte
	pasts     map[StreamID]map[uint64][]byte // by mark
	feeds     map[string]*memoryFeed         // the feeds that have a name
	appended  chan struct{}                  // closed at the next append; nil if nobody waits
}

var (
	_ Log       = (*Memory)(nil)
	_ Snapshots = (*Memory)(nil)
	_ Truncater = (*Memory)(nil)
)

// entry is one stored commit.
type entry struct {
	stream *memoryStream
	stored []byte
	last   Position
	after  uint64 // the version that it follows

	truncated bool // stored is in the archive
}

// NewMemory returns an empty log.
func NewMemory(config MemoryConfig) *Memory {
	return &Memory{
		config:    config.withDefaults(),
		streams:   map[StreamID]*memoryStream{},
		types:     map[string][]uint64{},
		snapshots: map[StreamID][]byte{},
		pasts:     map[StreamID]map[uint64][]byte{},
		feeds:     map[string]*memoryFeed{},
	}
}

// Partitions implements [Log].
func (m *Memory) Partitions() int { return m.config.Partitions }

// Codec implements [Log].
func (m *Memory) Codec() Codec { return m.config.Codec }

// Append implements [Log]. It never waits, and fails with [ErrUnknown] only if
// ctx has ended before: the same commit may have been appended before that.
func (m *Memory) Append(ctx context.Context, c *Commit) (Head, error) {
	if err := ctx.Err(); err != nil {
		return Head{}, &UnknownError{Stream: c.Stream, Reason: err}
	}
	stored, err := EncodeCommit(m.config.Codec, c)
	if err != nil {
		return Head{}, &RefusedError{Stream: c.Stream, Reason: err}
	}
	hash := HashOf(stored)

	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[c.Stream]
	if s == nil {
		s = &memoryStream{id: c.Stream}
	}
	head := c.After
	if head != s.head {
		if head, err = m.notNext(ctx, s, c, stored); err != nil {
			return Head{}, err
		}
	} else {
		head = m.add(s, stored, hash, len(c.Events))
	}
	c.Sequence, c.Local, c.Hash = head.Sequence, head.Sequence, head.Hash
	return head, nil
}

// add stores bytes as the next commit of the stream. It is called with the lock.
func (m *Memory) add(s *memoryStream, stored []byte, hash Hash, events int) Head {
	sequence := uint64(len(m.entries)) + 1
	m.entries = append(m.entries, entry{
		stream: s,
		stored: stored,
		last:   PositionOf(sequence, events-1),
		after:  s.head.Version,
	})
	if len(s.commits) == 0 {
		m.streams[s.id] = s
	}
	s.commits = append(s.commits, sequence)
	m.types[s.id.Type] = append(m.types[s.id.Type], sequence)
	s.head = Head{Version: s.head.Version + uint64(events), Sequence: sequence, Hash: hash}
	if m.appended != nil {
		close(m.appended)
		m.appended = nil
	}
	return s.head
}

// notNext tells a commit that was stored already from one that came too late:
// the commit that follows c.After is c itself, or it is not. It is called with
// the lock.
func (m *Memory) notNext(ctx context.Context, s *memoryStream, c *Commit, stored []byte) (Head, error) {
	next, ok := s.nextAfter(c.After.Sequence)
	own := ok && bytes.Equal(m.entries[next-1].stored, stored)
	if ok && m.entries[next-1].truncated {
		var err error
		if own, err = m.archivedOwn(ctx, c, HashOf(stored)); err != nil {
			return Head{}, &UnknownError{Stream: s.id, Reason: err}
		}
	}
	if own {
		return Head{
			Version:  c.After.Version + uint64(len(c.Events)),
			Sequence: next,
			Hash:     HashOf(stored),
		}, nil
	}
	if c.After.Sequence == s.head.Sequence {
		reason := fmt.Sprintf("the commit names %d as the sequence of version %d with hash %s, the log has version %d with hash %s there",
			c.After.Sequence, c.After.Version, c.After.Hash, s.head.Version, s.head.Hash)
		damage := &DamageError{Stream: s.id, Version: s.head.Version, Sequence: s.head.Sequence, Reason: reason}
		return Head{}, &RefusedError{Stream: s.id, Reason: damage}
	}
	return Head{}, &ConflictError{Stream: s.id, Expected: c.After.Version, Actual: s.head.Version}
}

// Read implements [Log].
func (m *Memory) Read(ctx context.Context, id StreamID, after Head) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		err := id.Validate()
		if err == nil {
			err = m.read(ctx, id, after, func(c *Commit) bool { return yield(c, nil) })
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped says that whoever reads wants no more.
var errStopped = errors.New("stopped")

func (m *Memory) read(ctx context.Context, id StreamID, head Head, yield func(*Commit) bool) error {
	rest, err := m.tail(id, head)
	if err != nil {
		return err
	}
	rest, head, err = m.readArchived(ctx, id, head, rest, yield)
	if err != nil {
		return err
	}
	for _, e := range rest {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w: %w", id, ErrUnavailable, err)
		}
		c, err := DecodeNext(m.config.Codec, bytes.Clone(e.stored), e.last.Sequence(), id, head)
		if err != nil {
			return err
		}
		if !yield(c) {
			return errStopped
		}
		head = c.Head()
	}
	return nil
}

// tail returns the stream's entries after the head, which must be one that the
// stream has had.
func (m *Memory) tail(id StreamID, after Head) ([]entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[id]
	if s == nil {
		s = &memoryStream{id: id}
	}
	if after.Sequence > s.head.Sequence || after.Sequence == s.head.Sequence && after.Version > s.head.Version {
		return nil, &AheadError{
			What: "head of " + id.String(),
			Has:  PositionOf(after.Sequence, 0),
			Log:  PositionOf(s.head.Sequence, 0),
		}
	}
	skipped, found := s.indexOf(after.Sequence)
	if after.Sequence != 0 && !found {
		return nil, &DamageError{Stream: id, Version: after.Version, Sequence: after.Sequence, Reason: "there is no commit of the stream"}
	}
	if after.Sequence == s.head.Sequence && after != s.head {
		return nil, &DamageError{Stream: id, Version: after.Version, Sequence: after.Sequence, Reason: "the commit there is another"}
	}
	if found {
		skipped++
	}
	rest := make([]entry, 0, len(s.commits)-skipped)
	for _, sequence := range s.commits[skipped:] {
		rest = append(rest, m.entries[sequence-1])
	}
	return rest, nil
}

// Tip implements [Log].
func (m *Memory) Tip(ctx context.Context, types ...string) (Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("tip: %w: %w", ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tip(types), nil
}

// tip is called with the lock.
func (m *Memory) tip(types []string) Position {
	last := uint64(0)
	if len(types) == 0 {
		last = uint64(len(m.entries))
	}
	for _, t := range types {
		if of := m.types[t]; len(of) > 0 {
			last = max(last, of[len(of)-1])
		}
	}
	if last == 0 {
		return 0
	}
	return m.entries[last-1].last
}
