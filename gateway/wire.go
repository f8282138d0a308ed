package gateway

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Types of JSON bodies. They are permanent; a v1 type only ever gets fields.
const (
	typeError         = "io.annals.api.v1.error"
	typeCommand       = "io.annals.api.v1.command_response"
	typeDocument      = "io.annals.api.v1.document_response"
	typeDocuments     = "io.annals.api.v1.document_list_response"
	typeAggregate     = "io.annals.api.v1.aggregate_get_response"
	typeHistory       = "io.annals.api.v1.aggregate_history_response"
	typeProjections   = "io.annals.api.v1.projection_ls_response"
	typeInfo          = "io.annals.api.v1.info_response"
	typeWatchChange   = "io.annals.api.v1.watch_change"
	typeWatchProgress = "io.annals.api.v1.watch_progress"
	typeWait          = "io.annals.api.v1.wait_response"
)

// commandResponse answers a command.
type commandResponse struct {
	Type      string         `json:"type"`
	Aggregate string         `json:"aggregate"`
	ID        string         `json:"id"`
	Version   uint64         `json:"version"`
	Position  store.Position `json:"position"`
	Events    []string       `json:"events"`
	Duplicate bool           `json:"duplicate"`
	// Views are those that the command was to wait for; absent if there were none.
	Views []ViewWait `json:"views,omitempty"`
}

func (r commandResponse) result() actor.Result {
	return actor.Result{Version: r.Version, Position: r.Position, Events: r.Events, Duplicate: r.Duplicate}
}

// waitRequest asks to be answered once all of the views have reached a position.
type waitRequest struct {
	Position store.Position `json:"position"`
	Views    []string       `json:"views"`
}

// waitResponse says that they have.
type waitResponse struct {
	Type     string         `json:"type"`
	Position store.Position `json:"position"`
	Views    []string       `json:"views"`
}

// documentResponse answers a query for one document.
type documentResponse struct {
	Type string `json:"type"`
	projector.Document
}

// listRequest asks for a page of a view. Empty: the first page.
type listRequest struct {
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

// listResponse is a page; an empty Next ends the list.
type listResponse struct {
	Type      string               `json:"type"`
	Documents []projector.Document `json:"documents"`
	Next      string               `json:"next"`
}

// watchRequest asks for the changes of a view. Window, if not 0, is how many of
// them may come before the asker confirms some.
type watchRequest struct {
	Prefix string         `json:"prefix,omitempty"`
	After  store.Position `json:"after,omitempty"`
	// Model, if not empty, is the one that the asker has everything of up to After: if
	// another one is served, it is told so.
	Model  string `json:"model,omitempty"`
	Window int    `json:"window,omitempty"`
}

// watchMessage is a document that changed, under the next number, or that
// everything up to a position has come.
type watchMessage struct {
	Type     string `json:"type"`
	Sequence uint64 `json:"sequence"`
	// Resume is a position to go on after, once this message is taken. Begun says
	// that it is one: everything that was there has come.
	Resume store.Position `json:"resume"`
	Begun  bool           `json:"begun"`
	// Model is the one in which Resume is such a position, absent before Begun.
	Model string `json:"model,omitempty"`
	*projector.Document
}

// stateRequest asks for the state of an aggregate instance, now or as it was.
type stateRequest struct {
	Aggregate string    `json:"aggregate"`
	ID        string    `json:"id"`
	AtVersion uint64    `json:"at_version,omitempty"`
	AtTime    time.Time `json:"at_time,omitzero"`
}

// State is an aggregate instance as it is or was.
type State struct {
	Aggregate string `json:"aggregate"`
	ID        string `json:"id"`
	// Version and Position are those of the last event folded into State.
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"`
	// Time is when that event was decided, in UTC.
	Time time.Time `json:"time"`
	// State is the application's state in JSON.
	State json.RawMessage `json:"state"`
}

type stateResponse struct {
	Type string `json:"type"`
	State
}

// historyRequest asks for the events that follow a version.
type historyRequest struct {
	Aggregate string `json:"aggregate"`
	ID        string `json:"id"`
	After     uint64 `json:"after,omitempty"`
	Limit     int    `json:"limit,omitempty"`
}

// Event is an event of a history.
type Event struct {
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"`
	ID       uuid.UUID      `json:"id"`
	// Part tells apart what became of one stored event, from 0: all parts have its
	// version, position and id.
	Part int `json:"part,omitempty"`
	// Type is the wire name of Data, Schema the version that the event was stored in.
	Type   string `json:"type"`
	Schema int    `json:"schema"`
	// Time is when it was decided, in UTC.
	Time    time.Time    `json:"time"`
	Command EventCommand `json:"command"`
	// Data is the event in JSON, in the current schema.
	Data json.RawMessage `json:"data"`
	// Shredded are the paths of what was forgotten in the stored event.
	Shredded []string `json:"shredded,omitempty"`
	// Omitted is set when Data is null because it is too large for an answer.
	Omitted bool `json:"omitted,omitempty"`
	// CorrectedBy are the versions, in the same stream, from which on later
	// commands made the event good, as far as the answer looked ahead.
	CorrectedBy []uint64 `json:"corrected_by,omitempty"`
}

// EventCommand is the command that an event answers.
type EventCommand struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	CorrelationID string `json:"correlation_id,omitempty"`
	CausationID   string `json:"causation_id,omitempty"`
	Principal     string `json:"principal,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`
	// Corrects names the event that the command made good: an id, or
	// type/id/version.
	Corrects string `json:"corrects,omitempty"`
}

// historyResponse is a page of a history. Next, if not 0, is the version after
// which the next page begins.
type historyResponse struct {
	Type      string  `json:"type"`
	Aggregate string  `json:"aggregate"`
	ID        string  `json:"id"`
	Events    []Event `json:"events"`
	Next      uint64  `json:"next,omitempty"`
}

type projectionsResponse struct {
	Type        string             `json:"type"`
	Projections []projector.Status `json:"projections"`
}

// Info says what a node serves.
type Info struct {
	Namespace string `json:"namespace"`
	Node      string `json:"node"`
	Version   string `json:"version"`
	// Partitions is how many partitions the namespace has, 0 if the node does not
	// know: see [store.StreamID.Partition].
	Partitions int             `json:"partitions"`
	Aggregates []AggregateInfo `json:"aggregates"`
	Views      []string        `json:"views"`
}

// AggregateInfo lists the wire names of an aggregate, sorted.
type AggregateInfo struct {
	Type     string   `json:"type"`
	Commands []string `json:"commands"`
	Events   []string `json:"events"`
}

type infoResponse struct {
	Type string `json:"type"`
	Info
}
