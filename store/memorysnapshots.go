package store

import (
	"bytes"
	"context"
	"fmt"
)

// Save implements [Snapshots].
func (m *Memory) Save(ctx context.Context, s *Snapshot) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("save snapshot of %s: %w: %w", s.Stream, ErrUnavailable, err)
	}
	stored, err := EncodeSnapshotWithin(m.config.SnapshotBytes, s)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snapshots[s.Stream] = stored
	return nil
}

// Load implements [Snapshots].
func (m *Memory) Load(ctx context.Context, id StreamID) (*Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load snapshot of %s: %w: %w", id, ErrUnavailable, err)
	}
	m.mu.Lock()
	stored, ok := m.snapshots[id]
	m.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("snapshot of %s: %w", id, ErrNotFound)
	}
	return DecodeSnapshotOf(id, bytes.Clone(stored))
}

// Delete implements [Snapshots].
func (m *Memory) Delete(ctx context.Context, id StreamID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete snapshot of %s: %w: %w", id, ErrUnavailable, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.snapshots, id)
	delete(m.pasts, id)
	return nil
}
