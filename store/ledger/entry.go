package ledger

import (
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// appending is one event on its way into the log.
type appending struct {
	stream  store.StreamID
	command string // its id
	name    string
	by      string
	time    time.Time
	event   store.Event
}

func (e *appending) commit(after store.Head) *store.Commit {
	return &store.Commit{
		Stream: e.stream, ID: uuid.Must(uuid.NewV7()), After: after, Time: e.time.UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: e.command, Name: e.name, Principal: e.by}},
		Events:   []store.Event{e.event},
	}
}
