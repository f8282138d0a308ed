package backup

import (
	"crypto/sha256"
	"fmt"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// walk checks commits one after the other, in the order of the log: that no
// sequence is missing, and that each commit is the next of its stream. It holds
// the head of every stream, about 150 bytes each.
type walk struct {
	sequence uint64
	position store.Position
	commits  uint64
	events   uint64
	chain    segment.Sum // running hash of all commits
	heads    map[store.StreamID]store.Head
}

func newWalk() *walk { return &walk{heads: map[store.StreamID]store.Head{}} }

// take checks that c is the next commit, and goes on to it.
func (w *walk) take(c *store.Commit) error {
	if c.Sequence != w.sequence+1 {
		return &gapError{First: w.sequence + 1, Last: c.Sequence - 1}
	}
	if err := c.Follows(w.heads[c.Stream]); err != nil {
		return err
	}
	w.sequence, w.position = c.Sequence, c.Last()
	w.commits++
	w.events += uint64(len(c.Events))
	w.chain = link(w.chain, c.Hash)
	w.heads[c.Stream] = c.Head()
	return nil
}

// link returns the running hash of a log that had chain and then got a commit.
func link(chain segment.Sum, commit store.Hash) segment.Sum {
	var both [len(chain) + len(commit)]byte
	copy(both[:], chain[:])
	copy(both[len(chain):], commit[:])
	return sha256.Sum256(both[:])
}

// gapError says that the log, or a backup, does not hold some sequences.
type gapError struct{ First, Last uint64 }

func (e *gapError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("the commit at sequence %d is missing", e.First)
	}
	return fmt.Sprintf("the commits at sequences %d to %d are missing", e.First, e.Last)
}

// Unwrap makes the error match [store.ErrDamaged].
func (e *gapError) Unwrap() error { return store.ErrDamaged }
