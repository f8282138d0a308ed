package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
)

var _ PastSnapshots = (*Memory)(nil)

// SavePast implements [PastSnapshots].
func (m *Memory) SavePast(ctx context.Context, mark uint64, s *Snapshot) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("save past snapshot of %s: %w: %w", s.Stream, ErrUnavailable, err)
	}
	stored, err := EncodeSnapshotWithin(m.config.SnapshotBytes, s)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pasts[s.Stream] == nil {
		m.pasts[s.Stream] = map[uint64][]byte{}
	}
	m.pasts[s.Stream][mark] = stored
	return nil
}

// DropPast implements [PastSnapshots].
func (m *Memory) DropPast(ctx context.Context, id StreamID, mark uint64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("drop past snapshot of %s: %w: %w", id, ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pasts[id], mark)
	return nil
}

// Pasts implements [PastSnapshots].
func (m *Memory) Pasts(ctx context.Context, id StreamID) ([]uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list past snapshots of %s: %w: %w", id, ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.pasts[id])), nil
}

// LoadPast implements [PastSnapshots].
func (m *Memory) LoadPast(ctx context.Context, id StreamID, mark uint64) (*Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load past snapshot of %s: %w: %w", id, ErrUnavailable, err)
	}
	m.mu.Lock()
	stored, ok := m.pasts[id][mark]
	m.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("past snapshot of %s: %w", id, ErrNotFound)
	}
	return DecodeSnapshotOf(id, bytes.Clone(stored))
}
