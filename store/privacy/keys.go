package privacy

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Record is what is kept of one data subject.
type Record struct {
	// Subject is the data subject's id.
	Subject string `json:"subject"`
	// Revision is that of the record in its store; 0 if there is none yet.
	Revision uint64 `json:"-"`
	// Key names the key that is used now; zero if there is none.
	Key store.KeyID `json:"key"`
	// Wrapped is the key, encrypted by the wrapping key WrappedBy.
	Wrapped   []byte    `json:"wrapped,omitempty"`
	WrappedBy string    `json:"wrapped_by,omitempty"`
	Made      time.Time `json:"made,omitzero"`
	// Erased are the keys that the subject had before, oldest first.
	Erased []Erasure `json:"erased,omitempty"`
}

// Erasure is one forgetting of a data subject. A record gets 256 of them at most, each with
// 2,048 bytes of By and Why together, as JSON has them; where records are joined
// ([Record.Join]) it may have more, the oldest without texts.
type Erasure struct {
	// Key is the key that was erased; zero if there was none.
	Key store.KeyID `json:"key"`
	// ID is that of the erasure, of its notice in the log and of its receipt.
	ID uuid.UUID `json:"id"`
	// At is when the key was given up, By who asked for it, and Why.
	At  time.Time `json:"at"`
	By  string    `json:"by"`
	Why string    `json:"why"`
	// Done says that all steps were taken, the last of them at Finished.
	Done     bool      `json:"done,omitempty"`
	Finished time.Time `json:"finished,omitzero"`
	// Notice is where the log has the notice of it; 0 until then.
	Notice store.Position `json:"notice,omitempty"`
	// Also are the ids of the last requests that it has answered as well: there was no
	// key left to erase when they came.
	Also []uuid.UUID `json:"also,omitempty"`
}

// Keys keeps the records of a namespace's data subjects. All methods may be called from
// many goroutines. Errors match [store.ErrUnavailable] if the store could not be asked.
type Keys interface {
	// Realm names the key space: it is part of what sealed values are bound to, and
	// stays the same when a namespace is restored under another name.
	Realm() uuid.UUID
	// Load returns a subject's record as the store's leader has it; what it returns is
	// durable, so that data may be sealed under a key that another node has just made.
	// One that is not there has Revision 0, and nothing but the subject.
	Load(ctx context.Context, subject string) (Record, error)
	// Store writes a record if the one there still has r.Revision, and returns the new
	// revision; it is durable then. The error matches [store.ErrConflict] if it has
	// another, [store.ErrUnknown] if the outcome is not known: load again; and [store.ErrRefused]
	// if this process may not write keys. r is not kept.
	Store(ctx context.Context, r Record) (uint64, error)
	// Erase removes the bytes of all revisions of a subject's record below one. Doing
	// it again does nothing.
	Erase(ctx context.Context, subject string, below uint64) error
	// All yields every record, in the order of their subjects' last change.
	All(ctx context.Context) iter.Seq2[Record, error]
	// Follow calls each with every record that changes from now on, without its
	// wrapped key, and alive whenever it is certain that none was missed until a
	// moment ago, for the first time when it has begun. Of several changes of one record
	// it may pass over all but the last. It returns nil when ctx ends, and an error when
	// it cannot go on without a gap, which matches [ErrMoved] if that is as it should be.
	Follow(ctx context.Context, each func(Record), alive func()) error
}

// Wrapper encrypts keys by keys that are kept elsewhere: in a file, or by a service
// made for it. All methods may be called from many goroutines. Errors match
// [store.ErrUnavailable] if it could not be asked, and [store.ErrNotFound] if it has no
// key of that name (any more).
type Wrapper interface {
	// Current names the wrapping key that the next [Rewrap] moves to; a namespace that has
	// no keys yet begins with it. A keyring wraps new keys by the one that the key store
	// names, [WrappingSubject].
	Current() string
	// Wrap encrypts key by the wrapping key of that name and binds it to context.
	Wrap(ctx context.Context, by string, key, context []byte) ([]byte, error)
	// Unwrap undoes Wrap. The error matches [store.ErrDamaged] if wrapped was not made
	// by Wrap with this name and this context.
	Unwrap(ctx context.Context, by string, wrapped, context []byte) ([]byte, error)
}
