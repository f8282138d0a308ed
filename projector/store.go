package projector

import (
	"context"
	"encoding/json"
	"time"

	"github.com/annals-go/annals/store"
)

// Store keeps read models. All methods may be called from many goroutines.
type Store interface {
	// Open returns the read model of one version of a view, created empty if
	// there is none. The error matches [store.ErrInvalid] if what is there was
	// made otherwise, [store.ErrUnavailable] if the store could not be asked.
	Open(ctx context.Context, view string, version int) (View, error)
}

// View is one read model: documents by key, and one checkpoint for each worker
// that writes them. All methods may be called from many goroutines.
//
// Errors match [store.ErrUnavailable] if the store could not be asked,
// [store.ErrDamaged] if what is stored cannot be read.
type View interface {
	// Load returns the worker's checkpoint, and how far documents reach beyond
	// it. The zero Checkpoint, but for Worker, if there is none yet.
	Load(ctx context.Context, worker string) (Checkpoint, error)

	// Commit stores the documents and c, all of them or none, if the worker's
	// checkpoint in the store is still the one that c.Revision names, and returns
	// c with its new revision. Each key comes at most once, and at most
	// [View.MaxChanges] of them; the documents are not kept.
	//
	// A power cut may tear a commit, but only so that documents of it are stored
	// without the checkpoint, never the checkpoint without all the documents.
	//
	// Errors:
	//   - [ErrFenced]: somebody else wrote the checkpoint. Nothing was stored.
	//   - [store.ErrTooLarge]: a document is over the store's limit. Nothing was stored.
	//   - [store.ErrUnknown]: ctx ended before the outcome was definite, a wait for
	//     the disk failed, or the store has no room: load again. A commit that takes
	//     effect later fences the next.
	Commit(ctx context.Context, c Checkpoint, changed []Document) (Checkpoint, error)

	// Get returns the documents of those keys that have one, in any order, as
	// they were at one instant not before the commit that made since. The keys
	// are at most [View.MaxChanges]. The documents belong to the caller.
	Get(ctx context.Context, keys []string, since Checkpoint) ([]Document, error)

	// List returns the next documents in the order of their last change, at most
	// limit, and the cursor for those after them; "" begins, "" ends. A page may
	// hold fewer than limit, even none, and not be the last. A document that
	// changes between pages may come again, none is missed that was there when
	// the first page was asked for. limit is in [1, MaxPage]. A cursor that this
	// view did not make is refused with [store.ErrInvalid].
	List(ctx context.Context, cursor string, limit int, since Checkpoint) ([]Document, string, error)

	// MaxChanges is the largest number of documents in one commit, at least 1.
	MaxChanges() int
}

// MaxPage is the largest number of documents in a page of [View.List].
const MaxPage = 1000

// Document is one document of a view.
type Document struct {
	// Key is the document's key.
	Key string `json:"key"`
	// Position is that of the last event folded into it.
	Position store.Position `json:"position"`
	// Document is the document itself.
	Document json.RawMessage `json:"document"`
}

// Checkpoint says how far a worker has brought a view. It is stored as JSON.
type Checkpoint struct {
	// Worker is whose checkpoint it is: letters, digits and hyphens.
	Worker string `json:"worker"`
	// Version and Types are the definition's that wrote it.
	Version int      `json:"version"`
	Types   []string `json:"types"`
	// Position is that of the last event applied; 0 before the first.
	Position store.Position `json:"position"`
	// Time is when that event was decided.
	Time time.Time `json:"time"`
	// Commit is the hash of the log's commit that holds that event: a log that
	// lost its end and grew again has another one there.
	Commit Hash `json:"commit"`
	// Proof says which events led here.
	Proof

	// Revision is the store's: it tells this write of the checkpoint from all
	// others. 0 if the checkpoint was never written.
	Revision uint64 `json:"-"`
	// Furthest is the highest position that documents may have beyond Position:
	// that of an event whose documents did not fit into one commit. Load raises it
	// to what documents have that were stored later than the checkpoint, as a torn
	// commit leaves them. 0 if no document is ahead.
	Furthest store.Position `json:"furthest,omitempty"`
}
