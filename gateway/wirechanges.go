package gateway

import (
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

const (
	typeDifference = "io.annals.api.v1.aggregate_diff_response"
	typeChanges    = "io.annals.api.v1.aggregate_changes_response"
)

// diffRequest asks what became of an aggregate instance between two moments.
type diffRequest struct {
	Aggregate string `json:"aggregate"`
	ID        string `json:"id"`
	From      moment `json:"from,omitzero"`
	To        moment `json:"to,omitzero"`
}

// moment names one by a version or a time; the zero moment is now.
type moment struct {
	Version uint64    `json:"version,omitempty"`
	Time    time.Time `json:"time,omitzero"`
}

func (m moment) at() actor.At { return actor.At{Version: m.Version, Time: m.Time} }

func momentOf(at actor.At) moment { return moment{Version: at.Version, Time: at.Time} }

// Difference is what became of an aggregate instance between two moments.
type Difference struct {
	Aggregate string `json:"aggregate"`
	ID        string `json:"id"`
	From      Moment `json:"from"`
	To        Moment `json:"to"`
	// Changes make the state at To of that at From; empty if they are equal.
	Changes []actor.Change `json:"changes"`
}

// Moment is the last event that was folded into a state.
type Moment struct {
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"`
	// Time is when it was decided, in UTC.
	Time time.Time `json:"time"`
}

type diffResponse struct {
	Type string `json:"type"`
	Difference
}

// Changed is an event of a history with what it changed in the state.
type Changed struct {
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"`
	ID       uuid.UUID      `json:"id"`
	// Type is the event's wire name, Schema the version that it was stored in.
	Type   string `json:"type"`
	Schema int    `json:"schema"`
	// Time is when it was decided, in UTC.
	Time    time.Time    `json:"time"`
	Command EventCommand `json:"command"`
	// Changes are empty if the event left the state as it was.
	Changes []actor.Change `json:"changes"`
	// Shredded are the paths of what was forgotten in the stored event.
	Shredded []string `json:"shredded,omitempty"`
	// Omitted is set when Changes is null because it is too large for an answer.
	Omitted bool `json:"omitted,omitempty"`
}

// changesResponse is a page. Next, if not 0, is the version after which the next
// page begins.
type changesResponse struct {
	Type      string    `json:"type"`
	Aggregate string    `json:"aggregate"`
	ID        string    `json:"id"`
	Events    []Changed `json:"events"`
	Next      uint64    `json:"next,omitempty"`
}
