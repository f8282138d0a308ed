package storetest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
)

// Shelf is a [store.Archive] in memory, for tests. The zero value is empty and
// ready. All methods may be called from many goroutines.
type Shelf struct {
	mu      sync.Mutex
	commits []*store.Commit // in the order of their sequences
	away    bool
}

var _ store.Archive = (*Shelf)(nil)

func bySequence(c *store.Commit, sequence uint64) int { return cmp.Compare(c.Sequence, sequence) }

// Put keeps stored commits; the shelf keeps them as they are.
func (s *Shelf) Put(commits ...*store.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range commits {
		i, found := slices.BinarySearchFunc(s.commits, c.Sequence, bySequence)
		if !found {
			s.commits = slices.Insert(s.commits, i, c)
		}
	}
}

// Lose takes the commit at a sequence away.
func (s *Shelf) Lose(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.commits, sequence, bySequence)
	if found {
		s.commits = slices.Delete(slices.Clone(s.commits), i, i+1)
	}
}

// Away says that the shelf cannot be asked, or can again.
func (s *Shelf) Away(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = is
}

func (s *Shelf) held() ([]*store.Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, fmt.Errorf("the shelf is away: %w", store.ErrUnavailable)
	}
	return slices.Clone(s.commits), nil
}

// Stream implements [store.Archive].
func (s *Shelf) Stream(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return s.yield(ctx, func(c *store.Commit) bool {
		if c.Stream != id || c.After.Version != after.Version {
			return false
		}
		after = c.Head()
		return true
	})
}

// Between implements [store.Archive].
func (s *Shelf) Between(ctx context.Context, after, before uint64) iter.Seq2[*store.Commit, error] {
	return s.yield(ctx, func(c *store.Commit) bool { return c.Sequence > after && c.Sequence < before })
}

func (s *Shelf) yield(ctx context.Context, wanted func(*store.Commit) bool) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		held, err := s.held()
		if err != nil {
			yield(nil, err)
			return
		}
		for _, c := range held {
			if err := ctx.Err(); err != nil {
				yield(nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err))
				return
			}
			if !wanted(c) {
				continue
			}
			own := *c
			if !yield(&own, nil) {
				return
			}
		}
	}
}
