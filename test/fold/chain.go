package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Chain is the count and the running hash of events, computed as the
// documentation of a checkpoint says, and not by the code that keeps one.
type Chain struct {
	// Events is how many events there were.
	Events uint64
	// Hash is the running hash after the last of them.
	Hash [16]byte
	// Position is that of the last of them.
	Position store.Position
	// Commit is the hash of the commit that holds it.
	Commit store.Hash
}

// ChainOf returns the chain of the events that a worker passes: those in
// commits of which own says so. Nil: of all commits.
func ChainOf(commits []*store.Commit, own func(*store.Commit) bool) Chain {
	var c Chain
	for _, commit := range commits {
		if own != nil && !own(commit) {
			continue
		}
		for e := range commit.Recorded() {
			c.add(e)
		}
		c.Commit = commit.Hash
	}
	return c
}

func (c *Chain) add(e store.Recorded[[]byte]) {
	link := append([]byte{}, c.Hash[:]...)
	link = binary.BigEndian.AppendUint64(link, uint64(e.Position))
	link = append(link, e.ID[:]...)
	sum := sha256.Sum256(link)
	copy(c.Hash[:], sum[:16])
	c.Events++
	c.Position = e.Position
}

// Verify tells in words in what a checkpoint at the end of the chain differs
// from it.
func (c Chain) Verify(view string, got projector.Checkpoint) []string {
	var differences []string
	note := func(format string, v ...any) {
		differences = append(differences, fmt.Sprintf("checkpoint of view %s, worker %s: ", view, got.Worker)+fmt.Sprintf(format, v...))
	}
	if got.Position != c.Position {
		note("at position %d, the log ends at %d", got.Position, c.Position)
	}
	if got.Events != c.Events {
		note("counts %d events, the log %d", got.Events, c.Events)
	}
	if got.Hash != projector.Hash(c.Hash) {
		note("has hash %s, the log %s", got.Hash, projector.Hash(c.Hash))
	}
	if got.Commit != projector.Hash(c.Commit) {
		note("names commit %s, the log %s", got.Commit, projector.Hash(c.Commit))
	}
	return differences
}
