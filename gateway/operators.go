package gateway

import (
	"context"
	"encoding/json"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Operators rebuilds, repairs and verifies views: [*projector.Group]. All of
// its methods return an error that matches projector.ErrNoView or
// projector.ErrElsewhere if the view is none or runs on another node, and have
// done nothing then, unless it matches [store.ErrUnknown], too. What a change came to
// when ctx ends first is an error that matches that. Edit and Skip compare at with
// where the stream waits when they change it: store.ErrConflict.
type Operators interface {
	// DeadLetters returns the streams that are parked for the view's models.
	DeadLetters(ctx context.Context, view string) ([]projector.DeadLetter, error)
	// Letter returns a dead letter, also where only the worker is that parked it.
	Letter(ctx context.Context, view, id string) (projector.DeadLetter, error)
	// LetterEvents returns the first events, at most limit, that wait in a dead letter.
	LetterEvents(ctx context.Context, view, id string, limit int) ([]projector.LetterEvent, error)
	// Retry applies what waits. The zero DeadLetter: the stream is not parked any more.
	Retry(ctx context.Context, view, id string) (projector.DeadLetter, error)
	// Edit replaces the data of the event of version at, when it is tried again.
	Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error
	// Skip leaves out the event of version at, and goes on as Retry does.
	Skip(ctx context.Context, view, id string, at uint64, reason, by string) (projector.DeadLetter, error)
	// Skipped returns which events were left out.
	Skipped(ctx context.Context, view string) ([]projector.Skipped, error)
	// Held returns a page of the rows that an SQL view holds about a person, once it has reached min.
	Held(ctx context.Context, view, subject, cursor string, limit int, min store.Position) (projector.HeldPage, error)
	// Rebuild begins to build a model, and does not wait for it.
	Rebuild(ctx context.Context, view string, r projector.Rebuild) (projector.Model, error)
	// Promote serves the candidate; not one that differs or is behind, unless forced.
	Promote(ctx context.Context, view string, force bool) error
	// Rollback serves the previous model again.
	Rollback(ctx context.Context, view string) error
	// Cancel drops the candidate.
	Cancel(ctx context.Context, view string) error
	// Retire drops the previous model.
	Retire(ctx context.Context, view string) error
	// Pause stops bringing the view up to date.
	Pause(ctx context.Context, view string) error
	// Resume goes on with that.
	Resume(ctx context.Context, view string) error
	// Rewind has the events after a position applied once more.
	Rewind(ctx context.Context, view string, p store.Position) error
	// Verify compares the models' checkpoints, and if asked documents, with the log.
	Verify(ctx context.Context, view string, documents bool) (projector.Verification, error)
}
