package archive

import (
	"context"
	"fmt"
	"iter"

	"github.com/annals-go/annals/store"
)

// merge reads several files as one, in the order of sequences. What two of them
// have comes once.
type merge struct {
	archive *Archive
	waiting []*shelved // not open yet, in the order of their first sequences
	sources []*source
	after   uint64
	last    *store.Commit
	failure error // of what comes after last
}

// source is one file of a merge, with its next commit.
type source struct {
	file *file
	next *store.Commit
	pull func() (*store.Commit, error, bool)
	stop func()
}

// merge begins after a sequence. The caller ends it.
func (a *Archive) merge(c *catalogue, after uint64) *merge {
	m := &merge{archive: a, after: after}
	for _, s := range c.segments {
		if s.Last > after {
			m.waiting = append(m.waiting, s)
		}
	}
	return m
}

// next returns the next commit, nil at the end.
func (m *merge) next(ctx context.Context) (*store.Commit, error) {
	for {
		if m.failure != nil {
			return nil, m.failure
		}
		if err := m.open(ctx); err != nil {
			return nil, err
		}
		first := m.first()
		if first == nil {
			return nil, nil
		}
		c := first.next
		m.failure = m.advance(first)
		if m.last != nil && m.last.Sequence == c.Sequence {
			if m.last.Hash != c.Hash {
				return nil, fmt.Errorf("%w: two files hold different commits at sequence %d", store.ErrDamaged, c.Sequence)
			}
			continue
		}
		m.last = c
		return c, nil
	}
}

func (m *merge) first() (first *source) {
	for _, s := range m.sources {
		if s.next != nil && (first == nil || s.next.Sequence < first.next.Sequence) {
			first = s
		}
	}
	return first
}

// open opens the files that may have the next commit: those that begin before
// it.
func (m *merge) open(ctx context.Context) error {
	for len(m.waiting) > 0 {
		first := m.first()
		if first != nil && first.next.Sequence < m.waiting[0].First {
			return nil
		}
		f, err := m.archive.files.open(ctx, m.waiting[0])
		if err != nil {
			return err
		}
		m.waiting = m.waiting[1:]
		s := &source{file: f}
		s.pull, s.stop = iter.Pull2(f.reader.All(m.after, 0))
		m.sources = append(m.sources, s)
		if err := m.advance(s); err != nil {
			return err
		}
	}
	return nil
}

// advance takes the source's next commit. One that has no more is done with.
func (m *merge) advance(s *source) error {
	c, err, ok := s.pull()
	if err != nil {
		return fmt.Errorf("%s: %w", s.file.of.Name, err)
	}
	s.next = c
	if !ok {
		s.next = nil
	}
	return nil
}

func (m *merge) end() {
	for _, s := range m.sources {
		s.stop()
		m.archive.files.release(s.file)
	}
}
