package storetest

import (
	"context"
	"testing"

	"github.com/annals-go/annals/store"
)

// Harness opens the stores that [Run] tries.
type Harness struct {
	// Open returns a store in a namespace of its own, empty. It releases what it
	// opened with t.Cleanup. It is called from parallel tests.
	Open func(t *testing.T) Store
}

// Store is one opened store and the means to harm it. Only Log is required;
// cases that need what is nil are skipped and say so.
type Store struct {
	Log       store.Log
	Snapshots store.Snapshots

	// Again opens the same namespace once more, as another node would, without
	// the faults of this one. Nil: rivals share Log.
	Again func(t *testing.T) store.Log

	// Faults disturbs the appends made through Log, and only those.
	Faults Faults

	// Forge stores data as the next message of the stream, without any check, as
	// a faulty writer would.
	Forge func(t *testing.T, id store.StreamID, data []byte)
	// Flip changes one bit of a stored commit. Nothing is appended afterwards.
	Flip func(t *testing.T, c *store.Commit)
	// Remove takes a stored commit out of the log. Nothing is appended afterwards.
	Remove func(t *testing.T, c *store.Commit)
	// Shelf is the archive that Log and Again's logs were opened with, empty, and
	// Truncate truncates to it. Nil: the log cannot be truncated.
	Shelf    *Shelf
	Truncate func(ctx context.Context, id store.StreamID, below store.Head) error
	// Bare opens the same namespace without the archive; Log is not used
	// afterwards.
	Bare func(t *testing.T) store.Log

	// ForgeSnapshot stores data as the snapshot of the stream.
	ForgeSnapshot func(t *testing.T, id store.StreamID, data []byte)
	// TearSnapshot takes away a piece of the snapshot of the stream, which is of
	// some MiB, as a writer leaves it that dies. Nil: it is stored in one piece.
	TearSnapshot func(t *testing.T, id store.StreamID)
	// SnapshotsAgain are the same snapshots as another node has them. Nil: rivals
	// share Snapshots.
	SnapshotsAgain store.Snapshots
}

// Faults disturbs the publishes by which appends are made. A publish is one
// try to store a commit: an append makes several when answers stay away, and
// each counts. The counts are set, not added; Heal sets all of them to zero.
//
// All methods may be called while appends run. Where several kinds are set,
// one publish suffers one of them, in the order of this interface.
type Faults interface {
	// LoseAck stores what the next n publishes send and loses the answers.
	LoseAck(n int)
	// DropPublish loses the next n publishes on their way: nothing is stored,
	// and no answer comes.
	DropPublish(n int)
	// RepeatPublish delivers the next n publishes twice each.
	RepeatPublish(n int)
	// InProgress answers the next n publishes, instead of storing them, as a
	// replicated log does while another write to the subject is not settled
	// (JetStream's code 10164). It returns false if this log knows no such
	// answer; the case is then skipped.
	InProgress(n int) bool
	// Meanwhile has f called once, between the next disturbed publish and
	// whatever the log does then to find out what became of it.
	Meanwhile(f func())
	// Heal ends all disturbance.
	Heal()
}

// Forever is a count of publishes that no test reaches.
const Forever = 1 << 30
