package projector

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/annals-go/annals/store"
)

// folder is the half of a worker that differs between the kinds of definitions:
// it decodes events and applies the definition's functions. It belongs to one
// goroutine, knows neither log nor store, and is thrown away after any error.
//
// A kind that needs nothing from the store before it applies an event misses
// nothing; one that changes tables applies its events when they are written.
type folder interface {
	// stage decodes an event. The events that are staged are applied in the order
	// of their staging.
	stage(a arrival) error
	// missing returns the keys of documents that staged events touch and that are
	// not in memory, each once.
	missing() []string
	// admit takes in the documents of those keys as they are stored; a key
	// without one has no document yet.
	admit(keys []string, stored []Document) error
	// fold applies staged events in order, and stops before the one that would
	// make more wait to be written than room allows, unless nothing waits. It returns
	// how many events it applied, also with an error. Nothing may be missing.
	fold(ctx context.Context, room room) (int, error)
	// pending returns what changed since clean.
	pending() (changes, error)
	// clean says that what pending returned is written.
	clean()
	// trim forgets documents so that about limit stay. Nothing may be staged.
	trim(limit int)
	// partly reports whether a document has a staged event already.
	partly() bool
	// whole reports whether what was applied before an error may be written.
	whole() bool
	// drop forgets what holds data of those who were forgotten, and reports whether
	// nothing that it cannot do without, staged or not written, does.
	drop(erased func([]store.KeyRef) bool) bool
	// holds reports whether a stored document is about a person.
	holds(d Document, subject string) bool
}

// arrival is an event that comes to a folder.
type arrival struct {
	store.Recorded[[]byte]
	// keys are the documents that are to be told, if the event is a notice that
	// somebody was forgotten.
	keys []string
	// parked names the parking of the event's stream if it comes late: the position
	// of the first event that waited. 0 for an event that comes in its turn.
	parked store.Position
	// edited are the data to take instead of the event's own: JSON.
	edited json.RawMessage
}

// room is what may wait to be written: documents, bytes of documents, events
// whose handlers run when it is, and until when.
type room struct {
	documents, bytes, events int
	until                    time.Time
	// stale is asked between two events, may be nil: an error ends what goes on, for
	// what is staged is not to be applied any more.
	stale func() error
}

// check asks stale.
func (r room) check() error {
	if r.stale == nil {
		return nil
	}
	return r.stale()
}

// changes are what a commit stores beside notes and checkpoint.
type changes struct {
	documents []Document
	apply     func(ctx context.Context, tx *sql.Tx) error
}

// fault makes the errors that blame events of one view. They tell nothing that may be
// personal.
type fault struct {
	view string
	all  bool            // any event's errors may tell of what the view holds
	some map[string]bool // those of events of these wire names may
}

func (f fault) decode(e EventError, reason error) error { return f.blame(e, KindDecode, reason) }

func (f fault) handler(e EventError, reason error) error { return f.blame(e, KindHandler, reason) }

func (f fault) blame(e EventError, kind string, reason error) error {
	if f.isPrivate(e) {
		reason = withhold(reason)
	}
	e.View, e.Kind, e.Reason = f.view, kind, reason
	return &e
}

func (f fault) isPrivate(e EventError) bool { return f.all || e.personal || f.some[e.Type] }

// contain turns a panic of the definition's functions into an error.
func (f fault) contain(e EventError, err *error) {
	if r := recover(); r != nil {
		*err = f.handler(e, panicked(r))
	}
}

func eventOf[E any](e store.Recorded[E]) EventError {
	return EventError{Stream: e.Stream, Version: e.Version, Position: e.Position, Type: e.Type, personal: len(e.Personal) > 0}
}
