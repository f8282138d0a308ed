package backup

import (
	"context"
	"iter"

	"github.com/annals-go/annals/store"
)

// Source is what a backup is made of.
type Source struct {
	// Log is the namespace's log. Required. It may be written to meanwhile.
	Log store.Log
	// LogStreams is how many log streams the namespace has. Default 1.
	LogStreams int
	// Snapshots yields the snapshots that there are. Default nil: none are kept;
	// they are a cache.
	Snapshots func(context.Context) iter.Seq2[*store.Snapshot, error]
	// Tables are what else is kept beside the log. Default none.
	Tables []Table
}

// Table is a small set of values beside the log that is kept with a backup, such
// as which read models there are. What is in it is the owner's to understand.
type Table interface {
	// Name tells tables apart: lower case letters, digits and hyphens.
	Name() string
	// All returns all keys and values.
	All(ctx context.Context) (map[string][]byte, error)
	// Restore sets a value that the namespace does not have yet; one that it has
	// stays.
	Restore(ctx context.Context, key string, value []byte) error
}

// Progress says how far something is.
type Progress struct {
	// Done and Total count commits. Total is what is known when it begins.
	Done, Total uint64
}
