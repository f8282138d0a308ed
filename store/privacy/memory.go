package privacy

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Memory is a key store in the memory of the process: for tests, and beside a log that
// may be lost as well. Like a stream, it has the older revisions of a record until they
// are erased. It starts no goroutine and works in a bubble of testing/synctest. What it
// holds grows with the count of subjects.
type Memory struct {
	realm uuid.UUID

	mu        sync.Mutex
	last      uint64
	records   map[string][]Record // all revisions that are still there, oldest first
	followers map[*memoryFollower]bool
}

var _ Keys = (*Memory)(nil)

// memoryFollower is one call of Follow. What has changed and was not told yet is
// bounded by the count of subjects.
type memoryFollower struct {
	changed map[string]Record
	wake    chan struct{}
}

// memoryAlive is how often a follower of a Memory is told that it missed nothing.
const memoryAlive = 5 * time.Second

// NewMemory returns an empty key store with a realm of its own.
func NewMemory() *Memory {
	return &Memory{realm: uuid.New(), records: map[string][]Record{}, followers: map[*memoryFollower]bool{}}
}

// Realm implements [Keys].
func (m *Memory) Realm() uuid.UUID { return m.realm }

// Load implements [Keys].
func (m *Memory) Load(ctx context.Context, subject string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("load key: %w: %w", store.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current(subject), nil
}

// current is called with the lock.
func (m *Memory) current(subject string) Record {
	all := m.records[subject]
	if len(all) == 0 {
		return Record{Subject: subject}
	}
	return all[len(all)-1].clone()
}

// Store implements [Keys].
func (m *Memory) Store(ctx context.Context, r Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("store key: %w: %w", store.ErrUnavailable, err)
	}
	if err := r.Validate(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.current(r.Subject); now.Revision != r.Revision {
		return 0, fmt.Errorf("store key: %w: the record has revision %d, expected %d", store.ErrConflict, now.Revision, r.Revision)
	}
	m.last++
	r = r.clone()
	r.Revision = m.last
	m.records[r.Subject] = append(m.records[r.Subject], r)
	for f := range m.followers {
		f.changed[r.Subject] = r.Bare()
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return r.Revision, nil
}

// Erase implements [Keys].
func (m *Memory) Erase(ctx context.Context, subject string, below uint64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("erase key: %w: %w", store.ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.records[subject]
	n := 0
	for n < len(all)-1 && all[n].Revision < below { // the last one is no older revision
		clear(all[n].Wrapped)
		n++
	}
	if n > 0 {
		m.records[subject] = slices.Clone(all[n:])
	}
	return nil
}

// All implements [Keys].
func (m *Memory) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range m.list() {
			if err := ctx.Err(); err != nil {
				yield(Record{}, fmt.Errorf("list keys: %w: %w", store.ErrUnavailable, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *Memory) list() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Record, 0, len(m.records))
	for subject := range m.records {
		all = append(all, m.current(subject))
	}
	slices.SortFunc(all, func(a, b Record) int { return int(int64(a.Revision) - int64(b.Revision)) })
	return all
}

// Follow implements [Keys].
func (m *Memory) Follow(ctx context.Context, each func(Record), alive func()) error {
	f := &memoryFollower{changed: map[string]Record{}, wake: make(chan struct{}, 1)}
	m.mu.Lock()
	m.followers[f] = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.followers, f)
		m.mu.Unlock()
	}()
	tick := time.NewTicker(memoryAlive)
	defer tick.Stop()
	for {
		for _, r := range m.take(f) {
			each(r)
		}
		alive()
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-tick.C:
		}
	}
}

// take returns what the follower was not told yet, in the order of revisions.
func (m *Memory) take(f *memoryFollower) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Record, 0, len(f.changed))
	for _, r := range f.changed {
		all = append(all, r)
	}
	clear(f.changed)
	slices.SortFunc(all, func(a, b Record) int { return int(int64(a.Revision) - int64(b.Revision)) })
	return all
}

// Holds reports whether the bytes are anywhere in what is stored: what a search of a
// disk would show.
func (m *Memory) Holds(secret []byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, all := range m.records {
		for _, r := range all {
			if bytes.Contains(r.Wrapped, secret) {
				return true
			}
		}
	}
	return false
}
