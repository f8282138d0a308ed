package backup

import (
	"context"
	"iter"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

// Source is what a backup is made of.
type Source struct {
	// Log is the namespace's log. Required. It may be written to meanwhile.
	Log store.Log
	// LogStreams is how many log streams the namespace has. Default 1.
	LogStreams int
	// KeepsCommands says that the namespace keeps the commands beside the events.
	KeepsCommands bool
	// Snapshots yields the snapshots that there are. Default nil: none are kept;
	// they are a cache.
	Snapshots func(context.Context) iter.Seq2[*store.Snapshot, error]
	// Tables are what else is kept beside the log. Default none.
	Tables []Table
	// Keys are those of the personal data. They are not in the backup: its manifest names
	// their realm. Default nil: the namespace has none.
	Keys privacy.Keys
	// KeysTo is where a copy of the keys is kept, wrapped as they are: one, which each
	// backup replaces. Not the backup's vault, unless that is as easy to forget in: copies
	// of the vault have the keys of those who were forgotten since. Default nil: no copy is
	// made, and without the key store's own data nobody reads the personal data again.
	KeysTo segment.Vault
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
