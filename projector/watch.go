package projector

import (
	"errors"

	"github.com/annals-go/annals/store"
)

// Watch says which documents are to be watched: the one under Key, or, with
// Key empty, all whose keys begin with Prefix.
type Watch struct {
	Key    string
	Prefix string
	// After is where to resume: only documents that changed after the event at this
	// position come. 0: each document that is there comes first, as it is now.
	After store.Position
}

// ErrSlow: the watcher did not take changes as fast as they came, and was
// dropped. It may resume after the last position it has.
var ErrSlow = errors.New("slow watcher")
