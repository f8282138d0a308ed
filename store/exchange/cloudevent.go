package exchange

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// cloudEvent is a line of the form [CloudEvents]. The names of extension
// attributes have lower case letters and digits only, and an integer has 32
// bits: what may grow beyond that is text.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              uuid.UUID `json:"id"`
	Source          string    `json:"source"`  // "/annals/loans": the namespace
	Type            string    `json:"type"`    // "application.submitted": aggregate type and wire name
	Subject         string    `json:"subject"` // "application/173688": the stream
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`

	StreamVersion string    `json:"streamversion"`
	Position      string    `json:"position,omitempty"`
	SchemaVersion int       `json:"schemaversion"`
	LeaseEpoch    string    `json:"leaseepoch,omitempty"`
	CommitID      uuid.UUID `json:"commitid"`
	CommitIndex   int       `json:"commitindex"`
	CommitCount   int       `json:"commitcount"`

	CommandID     string `json:"commandid"`
	CommandName   string `json:"commandname"`
	CommandHash   string `json:"commandhash,omitempty"`
	CorrelationID string `json:"correlationid,omitempty"`
	CausationID   string `json:"causationid,omitempty"`
	Principal     string `json:"principal,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`
	Corrects      string `json:"corrects,omitempty"`

	CommandSchema int     `json:"commandschema,omitempty"` // with the two that follow: the command itself
	CommandData   string  `json:"commanddata,omitempty"`   // JSON
	CommandPacked *[]byte `json:"commandpacked,omitempty"`

	PersonalPaths   string `json:"personalpaths,omitempty"` // these four: lists in JSON
	WithheldPaths   string `json:"withheldpaths,omitempty"`
	CommandPersonal string `json:"commandpersonal,omitempty"`
	CommandWithheld string `json:"commandwithheld,omitempty"`

	Codec string `json:"codec"`
	payload
}

const (
	cloudEventVersion = "1.0"
	jsonContent       = "application/json"
	sourcePrefix      = "/annals/"
)

func newCloudEvent(e *event, source string) *cloudEvent {
	aggregate, _, _ := strings.Cut(e.Stream, "/")
	c := &cloudEvent{
		SpecVersion:     cloudEventVersion,
		ID:              e.ID,
		Source:          sourcePrefix + source,
		Type:            aggregate + "." + e.Type,
		Subject:         e.Stream,
		Time:            e.Time,
		DataContentType: jsonContent,
		StreamVersion:   number(e.Version),
		Position:        number(uint64(e.Position)),
		SchemaVersion:   e.Schema,
		LeaseEpoch:      number(e.Epoch),
		CommitID:        e.Commit.ID,
		CommitIndex:     e.Commit.Index,
		CommitCount:     e.Commit.Count,
		CommandID:       e.Command.ID,
		CommandName:     e.Command.Name,
		CommandHash:     e.Command.BodyHash,
		CorrelationID:   e.Command.CorrelationID,
		CausationID:     e.Command.CausationID,
		Principal:       e.Command.Principal,
		Traceparent:     e.Command.Traceparent,
		Corrects:        e.Command.Corrects,
		PersonalPaths:   attribute(e.Personal),
		WithheldPaths:   attribute(e.Withheld),
		Codec:           e.Codec,
		payload:         e.payload,
	}
	if b := e.Command.Body; b != nil {
		c.CommandSchema, c.CommandData, c.CommandPacked = b.Schema, string(b.Data), b.Packed
		c.CommandPersonal, c.CommandWithheld = attribute(b.Personal), attribute(b.Withheld)
	}
	return c
}

// unmarshalCloudEvent reads a line. Attributes that are not ours are passed
// over: whoever handed the event on may have added them.
func unmarshalCloudEvent(line []byte) (*event, error) {
	c := &cloudEvent{}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, invalidLine("CloudEvent", string(line), err.Error())
	}
	e, err := c.event()
	if err != nil {
		return nil, invalidLine("CloudEvent", string(line), err.Error())
	}
	return e, e.validate()
}

func (c *cloudEvent) event() (*event, error) {
	if c.SpecVersion != cloudEventVersion {
		return nil, errors.New("its specversion is not " + cloudEventVersion)
	}
	if c.DataContentType != jsonContent {
		return nil, errors.New("its datacontenttype is not " + jsonContent)
	}
	aggregate, _, _ := strings.Cut(c.Subject, "/")
	wireName, fits := strings.CutPrefix(c.Type, aggregate+".")
	if !fits {
		return nil, errors.New("its type does not begin with the aggregate type in its subject")
	}
	e := &event{
		Stream: c.Subject, ID: c.ID, Type: wireName, Schema: c.SchemaVersion, Time: c.Time,
		Commit: part{ID: c.CommitID, Index: c.CommitIndex, Count: c.CommitCount},
		Command: command{
			ID: c.CommandID, Name: c.CommandName, BodyHash: c.CommandHash, CorrelationID: c.CorrelationID,
			CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent, Corrects: c.Corrects,
			Body: c.body(),
		},
		Codec:   c.Codec,
		payload: c.payload,
	}
	var position uint64
	err := errors.Join(parseNumber(&e.Version, c.StreamVersion), parseNumber(&position, c.Position), parseNumber(&e.Epoch, c.LeaseEpoch),
		parseAttribute(&e.Personal, c.PersonalPaths), parseAttribute(&e.Withheld, c.WithheldPaths))
	if b := e.Command.Body; b != nil {
		err = errors.Join(err, parseAttribute(&b.Personal, c.CommandPersonal), parseAttribute(&b.Withheld, c.CommandWithheld))
	}
	e.Position = store.Position(position)
	return e, err
}

func (c *cloudEvent) body() *body {
	if c.CommandData == "" {
		return nil
	}
	return &body{Schema: c.CommandSchema, payload: payload{Data: json.RawMessage(c.CommandData), Packed: c.CommandPacked}}
}

// number prints n for an attribute, which is left out when n is 0.
func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func parseNumber(n *uint64, text string) (err error) {
	if text != "" {
		*n, err = strconv.ParseUint(text, 10, 64)
	}
	return err
}
