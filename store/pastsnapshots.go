package store

import "context"

// PastSnapshots are [Snapshots] that also keep some of a stream's earlier ones,
// under marks that the caller chooses, so that a state of the past need not be
// folded from the first event. They are a cache as well. [Snapshots.Delete]
// removes them, too.
type PastSnapshots interface {
	Snapshots
	// SavePast keeps s under a mark, in the place of what was there. The errors are
	// those of Save; a store may take smaller ones only than it takes in Save.
	SavePast(ctx context.Context, mark uint64, s *Snapshot) error
	// DropPast removes what is under a mark. Dropping what is not there is no error.
	DropPast(ctx context.Context, id StreamID, mark uint64) error
	// Pasts returns the marks of the stream under which there is one, ascending.
	Pasts(ctx context.Context, id StreamID) ([]uint64, error)
	// LoadPast returns what is under a mark; the errors are those of Load.
	LoadPast(ctx context.Context, id StreamID, mark uint64) (*Snapshot, error)
}
