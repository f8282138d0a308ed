package privacy

import (
	"context"

	"github.com/annals-go/annals/store"
)

// Placer appends commits at the end of a log that nobody else writes to.
type Placer interface {
	// End returns the sequence of the last commit in the log or given to Place.
	End() uint64
	// Place appends c, sets its Sequence, Local and Hash, and returns the head that its
	// stream will have.
	Place(ctx context.Context, c *store.Commit) (store.Head, error)
	// Flush returns when all that was given to Place is stored and durable.
	Flush(ctx context.Context) error
}

// Loader is a Placer whose personal data are sealed where they are stored, as [Log]
// seals them. Nobody may be forgotten in the log meanwhile. It belongs to one goroutine.
type Loader struct {
	Placer
	log *Log
}

// NewLoader returns a loader that stands before another one. log is that of the other. What is
// filled is not compared with the key store by this keyring any more: its keys are made here,
// and its notices speak of others.
func NewLoader(below Placer, log *Log) *Loader {
	log.keys.compare(nil)
	return &Loader{Placer: below, log: log}
}

// Place implements [Placer]. The keys that personal data were read under elsewhere say
// nothing here. Errors are those of [Keyring.Seal] and of the loader below.
func (l *Loader) Place(ctx context.Context, c *store.Commit) (store.Head, error) {
	sealed := c
	if personal(c) && sealable(c) {
		var err error
		if sealed, _, err = l.log.seal(ctx, c); err != nil {
			return store.Head{}, err
		}
	}
	head, err := l.Placer.Place(ctx, sealed)
	c.Sequence, c.Local, c.Hash = sealed.Sequence, sealed.Local, sealed.Hash
	return head, err
}
