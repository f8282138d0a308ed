package projector

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// Model identifies one read model: what one build of one version of a view keeps.
type Model struct {
	// View is the view's name.
	View string `json:"view"`
	// Version is that of the definition, 1 to 9999.
	Version int `json:"version"`
	// Build tells models of one version apart: a view that is built again, beside
	// the one that is served, has the next number. 0 is the first.
	Build int `json:"build"`
}

// String prints the model as "outcomes_v2", and build 3 of it as "outcomes_v2_b3".
// It is the model's name in stores, for feeds and for operators.
func (m Model) String() string {
	if m.Build == 0 {
		return fmt.Sprintf("%s_v%d", m.View, m.Version)
	}
	return fmt.Sprintf("%s_v%d_b%d", m.View, m.Version, m.Build)
}

// Layout is what a definition asks of the store that keeps its model.
type Layout struct {
	Model
	// Indexes are the members of documents that the store is to index, where it
	// can: names joined by dots, as in "offers.sent".
	Indexes []string
	// Tables are the statements that make the tables of an SQL view. They run
	// once, in one transaction, when the model is created.
	Tables []string
}

// Store keeps read models. All methods may be called from many goroutines.
type Store interface {
	// Open returns a read model, created empty if there is none. The error matches
	// [store.ErrInvalid] if what is there was made otherwise or if the layout asks
	// for what the store cannot do, [store.ErrUnavailable] if it could not be asked.
	Open(ctx context.Context, layout Layout) (View, error)

	// Drop removes a read model and all that is in it. One that is not there is no
	// error. A writer that still has it open is refused from then on.
	Drop(ctx context.Context, model Model) error

	// Shared reports whether all groups of a system see the same models, on whatever
	// machine they run. Where it is false each machine keeps models of its own, and
	// all workers of a view have to run in one group, see [Config.Spread].
	Shared() bool
}

// View is one read model: documents and notes by key, and one checkpoint for
// each worker that writes them. All methods may be called from many goroutines.
//
// Errors match [store.ErrUnavailable] if the store could not be asked,
// [store.ErrDamaged] if what is stored cannot be read.
type View interface {
	// Load returns the worker's checkpoint, and how far documents reach beyond
	// it. The zero Checkpoint, but for Worker, if there is none yet.
	Load(ctx context.Context, worker string) (Checkpoint, error)

	// Commit stores what w holds, all of it or nothing, if the worker's checkpoint
	// in the store is still the one that w.Checkpoint.Revision names, and returns
	// the checkpoint with its new revision. What w holds is not kept.
	//
	// A power cut may tear a commit of a store that says so ([View.Torn]), but only
	// so that documents and notes of it are stored without the checkpoint, never the
	// checkpoint without all of them.
	//
	// Errors:
	//   - [ErrFenced]: somebody else wrote the checkpoint. Nothing was stored.
	//   - [store.ErrTooLarge]: a document is over the store's limit. Nothing was stored.
	//   - [store.ErrInvalid]: a key is none, or a document has something personal in
	//     plain ([Write.CheckSealed]). Nothing was stored.
	//   - [store.ErrUnknown]: ctx ended before the outcome was definite, a wait for
	//     the disk failed, or the store has no room: load again. A commit that takes
	//     effect later fences the next.
	//   - What w.Apply returned, wrapped. Nothing was stored.
	Commit(ctx context.Context, w Write) (Checkpoint, error)

	// Get returns the documents of those keys that have one, in any order, as
	// they were at one instant not before the commits that made since. A deleted
	// document is returned without value if the store still knows its position. The
	// keys are at most [View.MaxChanges]. The documents belong to the caller.
	Get(ctx context.Context, keys []string, since ...Checkpoint) ([]Document, error)

	// List returns the next documents in the order of their last change, at most
	// limit, and the cursor for those after them; "" begins, "" ends. A page may
	// hold fewer than limit, even none, and not be the last. A document that
	// changes between pages may come again, none is missed that was there when
	// the first page was asked for. Deleted ones do not come. limit is in
	// [1, MaxPage]. A cursor that this view did not make is refused with
	// [store.ErrInvalid].
	List(ctx context.Context, cursor string, limit int, since ...Checkpoint) ([]Document, string, error)

	// Notes returns the worker's notes, in the order of their keys.
	Notes(ctx context.Context, worker string) ([]Note, error)

	// MaxChanges is the largest number of documents and notes in one commit, at
	// least 1.
	MaxChanges() int

	// Torn reports whether a power cut may tear a commit. Where it may not, and a
	// commit takes [MaxKeys] documents, no document is ever ahead of the checkpoint:
	// such a store forgets deleted documents whole, and keeps no [Document.Late].
	Torn() bool
}

// Querier is a [View] that keeps the tables of an SQL view.
type Querier interface {
	View
	// Query calls read with a transaction that cannot write and that sees the model
	// as it was at one instant not before the commits that made since.
	Query(ctx context.Context, read func(tx *sql.Tx) error, since ...Checkpoint) error
}

// Scrubber is a [View] of a store that leaves what was deleted or replaced in its files
// for a while.
type Scrubber interface {
	View
	// Scrub has what was deleted and replaced before go from the model's files, as
	// far as the store can. It is called after the commit that took out a person who was
	// forgotten, outside of transactions, by one goroutine, and may take long. It is
	// repeated if it fails, with goesOn if nobody else was taken out since: what the call
	// before finished is done then. An error that matches [ErrRemains] says that all was
	// done that the store can do, and what is left to others; it is not repeated for that.
	Scrub(ctx context.Context, goesOn bool) error
}

// MaxPage is the largest number of documents in a page of [View.List].
const MaxPage = 1000

// Write is what one commit of a view stores.
type Write struct {
	// Checkpoint is the one to store; its Revision is that of the one before.
	Checkpoint Checkpoint
	// Documents are those that changed, each key at most once. One without value is
	// deleted.
	Documents []Document
	// Notes are the worker's that changed, each key at most once. One without value
	// is deleted.
	Notes []Note
	// Apply, if not nil, changes the tables of an SQL view, in the transaction of
	// the commit. It may be called again if the store has to repeat the transaction.
	Apply func(ctx context.Context, tx *sql.Tx) error
}

// Document is one document of a view.
type Document struct {
	// Key is the document's key.
	Key string `json:"key"`
	// Position is that of the last event folded into it.
	Position store.Position `json:"position"`
	// Document is the document itself; nil if it is deleted.
	Document json.RawMessage `json:"document"`
	// Late is the last event that was folded into it late, from a stream that had
	// been parked.
	Late Late `json:"-"`
	// Personal are the parts of Document that are about persons, in plain; an empty
	// Subject is that of the document's key. They are not stored: [NewSealed] seals
	// them, and a store refuses what has them.
	Personal []store.Personal `json:"-"`
	// Model is the name of the model whose progress a document without key tells, see
	// [Watch]; empty otherwise.
	Model string `json:"-"`
}

// Late names an event that was folded after its stream had been parked: which
// parking, by the position of its first event, and the event's own position.
// The zero Late is none.
type Late struct{ Parked, Position store.Position }

// Note is something small that a worker keeps beside its checkpoint, such as
// what it knows of a parked stream.
type Note struct {
	// Key is what [store.EncodeToken] accepts.
	Key string
	// Value is JSON; nil deletes the note.
	Value json.RawMessage
}

// Checkpoint says how far a worker has brought a view. It is stored as JSON.
type Checkpoint struct {
	// Worker is whose checkpoint it is: letters, digits and hyphens.
	Worker string `json:"worker"`
	// Version and Types are the definition's that wrote it.
	Version int      `json:"version"`
	Types   []string `json:"types"`
	// Workers is how many workers share the model, 0 meaning 1.
	Workers int `json:"workers,omitempty"`
	// From is where the proof begins: after the event at this position. 0 but for
	// reactions that did not begin with the first event.
	From store.Position `json:"from,omitempty"`
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
