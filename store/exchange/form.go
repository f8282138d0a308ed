package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Form is what a line looks like. One line is one event with all that is known
// about it.
type Form int

// The forms.
const (
	// JSONLines is one JSON object a line, with the names that the rest of the
	// system uses.
	JSONLines Form = iota
	// CloudEvents is one CloudEvent a line, of version 1.0 in the structured
	// mode of its JSON format. What CloudEvents has no attribute for stands in
	// extension attributes.
	CloudEvents
)

// MaxLineBytes is the longest line that is read: more than an event of
// [store.MaxCommitBytes] takes as JSON beside its stored bytes.
const MaxLineBytes = 8 << 20

// event is what a line says, in the form [JSONLines].
type event struct {
	Stream   string         `json:"stream"`
	Version  uint64         `json:"version"`
	Position store.Position `json:"position"` // where it was; an import does not look at it
	ID       uuid.UUID      `json:"id"`
	Type     string         `json:"type"`
	Schema   int            `json:"schema"`
	Time     time.Time      `json:"time"`
	Epoch    uint64         `json:"epoch,omitempty"`
	Commit   part           `json:"commit"`
	Command  command        `json:"command"`
	// Codec is how the event was stored: what it takes to store it again.
	Codec string `json:"codec"`
	marks
	payload
}

// part says which part of a commit an event is. Without it a file that ends, or
// was cut, inside a commit would be taken for a shorter commit.
type part struct {
	ID    uuid.UUID `json:"id"`
	Index int       `json:"index"` // from 0
	Count int       `json:"count"` // of the commit's events
}

// command is what is known of the command that the event answers.
type command struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	BodyHash      string `json:"body_hash,omitempty"` // hexadecimal: a number would not survive JavaScript
	CorrelationID string `json:"correlation_id,omitempty"`
	CausationID   string `json:"causation_id,omitempty"`
	Principal     string `json:"principal,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`
	Corrects      string `json:"corrects,omitempty"`
	Body          *body  `json:"body,omitempty"`
}

// body is the command itself, where the namespace keeps commands.
type body struct {
	Schema int `json:"schema"`
	marks
	payload
}

// payload is a value as JSON, and as it was stored where the JSON alone would
// not give the same bytes again.
type payload struct {
	Data   json.RawMessage `json:"data"`
	Packed *[]byte         `json:"packed,omitempty"`
}

// marshal returns the line of e, without its end. source names the namespace.
func (f Form) marshal(e *event, source string) ([]byte, error) {
	if f == CloudEvents {
		return marshalLine(newCloudEvent(e, source))
	}
	return marshalLine(e)
}

// marshalLine is json.Marshal without the escapes for HTML, which would change
// data.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// unmarshal reads a line. It may come from anywhere.
func (f Form) unmarshal(line []byte) (*event, error) {
	if f == CloudEvents {
		return unmarshalCloudEvent(line)
	}
	e := &event{}
	// A name that this build does not know may be what a later one cannot do
	// without: it is refused, not dropped.
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(e); err != nil {
		return nil, invalidLine("line", string(line), err.Error())
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return nil, invalidLine("line", string(line), "there is more behind its object")
	}
	return e, e.validate()
}

// validate checks what storing the commit does not check.
func (e *event) validate() error {
	switch {
	case e.Version == 0:
		return invalidLine("line", e.Stream, "it has no version")
	case e.Commit.Count < 1 || e.Commit.Count > store.MaxEvents:
		return invalidLine("line", e.Stream, fmt.Sprintf("its commit has %d events; want 1 to %d", e.Commit.Count, store.MaxEvents))
	case e.Commit.Index < 0 || e.Commit.Index >= e.Commit.Count:
		return invalidLine("line", e.Stream, fmt.Sprintf("it is event %d of a commit of %d", e.Commit.Index, e.Commit.Count))
	case len(e.Data) == 0:
		return invalidLine("line", e.Stream, "it has no data")
	}
	return nil
}
