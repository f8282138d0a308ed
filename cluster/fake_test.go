package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// fakeStore is a directory in memory with what a real one may do to those who
// use it: it is slow, its replicas are behind, its answers get lost, and nodes
// are cut off from it.
type fakeStore struct {
	mu      sync.Mutex
	rng     *rand.Rand
	history []stamped // every change, in order
	live    map[string]func()
	hinted  []func(uint64)
}

type stamped struct {
	change
	at time.Time
}

func newFakeStore(seed uint64) *fakeStore {
	return &fakeStore{rng: rand.New(rand.NewPCG(seed, 1)), live: map[string]func(){}}
}

func (s *fakeStore) chance(of float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < of
}

func (s *fakeStore) upTo(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.Int64N(int64(d) + 1))
}

// last returns the last change of a key. mu is held.
func (s *fakeStore) last(key string) (stamped, bool) {
	for _, c := range slices.Backward(s.history) {
		if c.key == key {
			return c, true
		}
	}
	return stamped{}, false
}

func (s *fakeStore) put(key string, value []byte, before uint64) uint64 {
	revision := uint64(len(s.history) + 1)
	s.history = append(s.history, stamped{change{key, slices.Clone(value), revision, before}, time.Now()})
	return revision
}

// fakeBucket is one node's way to the store.
type fakeBucket struct {
	store *fakeStore
	mu    sync.Mutex
	cut   bool // nothing comes through
	dead  bool // and the servers know that nobody is there
	lossy float64
	lag   time.Duration
	slow  time.Duration
}

var errCut = errors.New("no answer")

func (b *fakeBucket) set(f func(*fakeBucket)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

func (b *fakeBucket) state() fakeBucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fakeBucket{cut: b.cut, dead: b.dead, lossy: b.lossy, lag: b.lag, slow: b.slow}
}

// travel takes a while, and fails when the way is cut or ctx ends.
func (b *fakeBucket) travel(ctx context.Context) error {
	st := b.state()
	if st.cut {
		<-ctx.Done()
		return errCut
	}
	timer := time.NewTimer(time.Millisecond/2 + b.store.upTo(st.slow))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errCut
	}
}

func (b *fakeBucket) write(ctx context.Context, key string, value []byte, expected uint64, ttl time.Duration) (uint64, error) {
	if err := b.travel(ctx); err != nil {
		return 0, err
	}
	revision, err := b.store.write(key, value, expected, ttl)
	if b.store.chance(b.state().lossy) {
		<-ctx.Done()
		return 0, errCut
	}
	if travelled := b.travel(ctx); travelled != nil {
		return 0, travelled
	}
	return revision, err
}

func (s *fakeStore) write(key string, value []byte, expected uint64, ttl time.Duration) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, _ := s.last(key); last.revision != expected {
		return 0, errMoved
	}
	revision := s.put(key, value, expected)
	if ttl > 0 && len(value) > 0 {
		time.AfterFunc(ttl, func() { s.expire(key, revision) })
	}
	return revision, nil
}

func (s *fakeStore) expire(key string, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, _ := s.last(key); last.revision == revision {
		s.put(key, nil, 0)
	}
}

func (b *fakeBucket) changes(ctx context.Context, after uint64, yield func(change)) error {
	if err := b.travel(ctx); err != nil {
		return err
	}
	asOf := time.Now().Add(-b.store.upTo(b.state().lag))
	for _, c := range b.store.since(after, asOf) {
		yield(c)
	}
	return b.travel(ctx)
}

func (s *fakeStore) since(after uint64, asOf time.Time) (found []change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, c := range slices.Backward(s.history) {
		if c.revision <= after || c.at.After(asOf) {
			continue
		}
		if !seen[c.key] {
			seen[c.key] = true
			found = append(found, c.change)
		}
	}
	slices.Reverse(found)
	return found
}

func (b *fakeBucket) ping(ctx context.Context, session string) error {
	if err := b.travel(ctx); err != nil {
		return err
	}
	b.store.mu.Lock()
	answer := b.store.live[session]
	b.store.mu.Unlock()
	if answer == nil {
		return errNobody
	}
	return nil
}

// answer registers the session; while the node is cut off with dead set, the
// servers say that nobody is there.
func (b *fakeBucket) answer(session string) (func(), error) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.live[session] = func() {}
	return func() { b.store.disconnect(session) }, nil
}

func (s *fakeStore) disconnect(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, session)
}

func (s *fakeStore) reconnect(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[session] = func() {}
}

func (b *fakeBucket) announce(revision uint64) {
	if b.state().cut || b.store.chance(b.state().lossy) {
		return
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	for _, hint := range b.store.hinted {
		hint(revision)
	}
}

func (b *fakeBucket) hints(hint func(uint64)) (func(), error) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.hinted = append(b.store.hinted, hint)
	return func() {}, nil
}
