package privacy

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Snapshots are [store.PastSnapshots] whose states are sealed: state and memory as a whole,
// under a key that is derived from those of all subjects whose data were folded into it. When
// one of these is forgotten, the snapshot is dead: it is not found. One without personal data is
// stored as it is.
type Snapshots struct {
	kept store.PastSnapshots
	keys *Keyring
}

var _ store.PastSnapshots = (*Snapshots)(nil)

// NewSnapshots returns snapshots that are kept in others.
func NewSnapshots(kept store.PastSnapshots, keys *Keyring) *Snapshots {
	return &Snapshots{kept: kept, keys: keys}
}

// Save implements [store.Snapshots]. The error matches [store.ErrErased] if a key in
// s.Keys is erased: then the state is one that must not be used any more.
func (s *Snapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	sealed, err := s.seal(ctx, snap)
	if err != nil {
		return fmt.Errorf("save snapshot of %s: %w", snap.Stream, err)
	}
	return s.kept.Save(ctx, sealed)
}

// Load implements [store.Snapshots]; the snapshot has its Keys.
func (s *Snapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	snap, err := s.kept.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.opened(ctx, snap)
}

// Delete implements [store.Snapshots].
func (s *Snapshots) Delete(ctx context.Context, id store.StreamID) error {
	return s.kept.Delete(ctx, id)
}

// SavePast implements [store.PastSnapshots]; the errors are those of Save.
func (s *Snapshots) SavePast(ctx context.Context, mark uint64, snap *store.Snapshot) error {
	sealed, err := s.seal(ctx, snap)
	if err != nil {
		return fmt.Errorf("save past snapshot of %s: %w", snap.Stream, err)
	}
	return s.kept.SavePast(ctx, mark, sealed)
}

// DropPast implements [store.PastSnapshots].
func (s *Snapshots) DropPast(ctx context.Context, id store.StreamID, mark uint64) error {
	return s.kept.DropPast(ctx, id, mark)
}

// Pasts implements [store.PastSnapshots].
func (s *Snapshots) Pasts(ctx context.Context, id store.StreamID) ([]uint64, error) {
	return s.kept.Pasts(ctx, id)
}

// LoadPast implements [store.PastSnapshots].
func (s *Snapshots) LoadPast(ctx context.Context, id store.StreamID, mark uint64) (*store.Snapshot, error) {
	snap, err := s.kept.LoadPast(ctx, id, mark)
	if err != nil {
		return nil, err
	}
	return s.opened(ctx, snap)
}

func (s *Snapshots) opened(ctx context.Context, snap *store.Snapshot) (*store.Snapshot, error) {
	if !isSealedState(snap.State) {
		return snap, nil
	}
	if err := s.open(ctx, snap); err != nil {
		return nil, fmt.Errorf("open snapshot of %s: %w", snap.Stream, err)
	}
	return snap, nil
}
