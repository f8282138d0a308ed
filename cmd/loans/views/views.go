package views

import (
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// event is an event of an application as the log has it.
type event = store.Recorded[application.Event]

// All returns the four views.
func All() []projector.Definition {
	return []projector.Definition{Applications, Activities, Workload, Outcomes}
}

// when is the time of what happened: as the history says, or else as recorded.
func when(e event) time.Time {
	if t := e.Data.When(); !t.IsZero() {
		return t
	}
	return e.Time.UTC()
}
