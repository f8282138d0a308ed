package store

import (
	"context"
	"iter"
	"time"
)

// Log is the one place where anything is decided: the streams of a namespace,
// totally ordered. All methods may be called from many goroutines.
type Log interface {
	// Append stores c, whole, as the next commit of its stream, if the stream
	// still ends at c.After, and returns the new head. It has returned nil only
	// when the commit is as durable as this log makes it and its place in the
	// total order is known; then it has set c.Sequence, c.Local and c.Hash, and a log that
	// keeps personal data apart has set the Key of each part of c that is personal.
	//
	// Errors, exactly one of:
	//   - [ErrConflict] ([*ConflictError]): the stream ends elsewhere; not stored.
	//   - [ErrRefused] ([*RefusedError]): not stored and never will be.
	//   - [ErrUnknown] ([*UnknownError]): ctx ended before the outcome was definite,
	//     or the commit is stored and ctx ended before its place was known.
	//   - [ErrErased]: personal data that the writer's state rests on (c.Rests) were
	//     erased; not stored. Load the stream again.
	//
	// A lost acknowledgement is resolved by sending the identical commit again
	// until the answer is definite; the expectation makes that safe for ever.
	// c is not kept, and changed only as said above. Appends to one stream must not overlap in one writer.
	Append(ctx context.Context, c *Commit) (Head, error)

	// Read yields the commits of a stream that follow the head after, in order,
	// to the stream's end as the log's leader has it when Read begins. Each is
	// verified to be the next version and to hold the hash of the one before;
	// what is yielded is durable. The commits belong to the caller.
	//
	// A stream without commits yields nothing. The last pair has the error, if any:
	//   - [ErrInvalid]: id is not valid; [ErrTooLarge] if it is only too long.
	//   - [ErrAhead] ([*AheadError]): after is beyond the stream's end.
	//   - [ErrDamaged] ([*DamageError]): a gap, a broken chain, or bytes that do
	//     not decode; also when the commit at after is not the one it names.
	//   - [ErrUnavailable]: the log could not be asked.
	Read(ctx context.Context, id StreamID, after Head) iter.Seq2[*Commit, error]

	// Tip returns the position of the last event in the log, of the given
	// aggregate types only if there are any; 0 if there is none. What it
	// names is durable.
	Tip(ctx context.Context, types ...string) (Position, error)

	// Follow starts to deliver commits as they are stored. The error matches
	// [ErrAhead] if f.After is beyond the log's end.
	Follow(ctx context.Context, f Follow) (Feed, error)

	// Partitions returns the number of partitions of the namespace.
	Partitions() int

	// Codec returns how the namespace encodes values.
	Codec() Codec
}

// Follow says what a [Feed] delivers.
type Follow struct {
	// Name makes the feed's progress visible to operators under this name, and
	// takes the name over from whoever used it before: that feed's Next then
	// fails. Letters, digits, hyphens and underscores, at most 64 bytes. Empty:
	// an anonymous feed that leaves no trace.
	Name string
	// After is where to begin: with the first commit that has an event beyond
	// it. The feed's own acknowledgements are never a starting point: the
	// reader's checkpoint is the truth.
	After Position
	// Types limits the feed to these aggregate types. Empty: all.
	Types []string
}

// Feed delivers the commits of a log, in order, each exactly once to a reader
// that starts at its own checkpoint. It belongs to one goroutine.
type Feed interface {
	// Next waits until there is something, and returns 1 to limit commits, in
	// order, durable. It returns none, and no error, when it has passed over
	// commits of other types and come to the log's end, so that Pending says so.
	// The commits belong to the caller. A feed that cannot be
	// continued without a gap, because it was taken over or because the
	// connection was lost, fails with [ErrUnavailable]; follow again from the
	// checkpoint. A commit that the log cannot deliver is [ErrDamaged]. When ctx ends it returns its error.
	Next(ctx context.Context, limit int) ([]*Commit, error)

	// Acknowledge tells operators how far the reader has come. It is a hint:
	// nothing depends on its arrival.
	Acknowledge(p Position)

	// Pending returns how many more commits the log held when the feed came to
	// where it is, as far as the server that delivers knew: a replica may be a
	// moment behind. Commits of other types may be counted. Without a replica
	// behind it is at least what will be delivered, and 0 only if there is nothing.
	Pending() uint64

	// Close releases what the feed holds on the server. It is safe to call twice.
	Close() error
}

// Snapshot is a stream's folded prefix. It is a cache: whoever reads one must
// be ready to do without.
type Snapshot struct {
	Stream StreamID
	// Head is the end of the prefix that was folded.
	Head Head
	// Position is that of the prefix's last event, in the total order.
	Position Position
	// Time is that of the prefix's last commit, in UTC.
	Time time.Time
	// Epoch is that of the prefix's last commit.
	Epoch uint64
	// Schema is the version of the state's schema.
	Schema int
	// State is the encoded state.
	State []byte
	// Keys are those of all personal data that were folded into the state. A store
	// that keeps personal data apart seals the state under all of them.
	Keys []KeyRef
	// Memory is what the owner of the stream remembers beside the state, such
	// as the results of recent commands.
	Memory []byte
}

// Snapshots keeps the last snapshot of each stream. All methods may be called
// from many goroutines.
type Snapshots interface {
	// Save replaces the stream's snapshot, in one step: who loads meanwhile gets
	// the one before or this one. Of several that are saved at the same time one
	// stays. A snapshot over the limit of the store is refused with [ErrTooLarge],
	// and one that cannot be with [ErrInvalid]; every other error is
	// [ErrUnavailable], and then a part of a large one may be stored, which is
	// never loaded. s is not kept.
	Save(ctx context.Context, s *Snapshot) error
	// Load returns the stream's snapshot, which belongs to the caller. Errors:
	// [ErrNotFound], [ErrDamaged] if the bytes are not what was saved, or not all
	// are there, [ErrTooLarge] if it is over the limit of this store,
	// [ErrUnavailable].
	Load(ctx context.Context, id StreamID) (*Snapshot, error)
	// Delete removes it. Deleting what is not there is no error.
	Delete(ctx context.Context, id StreamID) error
}
