package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// The readable form of a commit: one JSON object on one line. Its last field,
// sum, is the CRC-32C of all bytes before that field.

type commitJSON struct {
	Format   int           `json:"format"`
	Type     string        `json:"type"`
	ID       string        `json:"id"`
	Commit   uuid.UUID     `json:"commit"`
	After    headJSON      `json:"after"`
	Time     time.Time     `json:"time"`
	Epoch    uint64        `json:"epoch,omitempty"`
	Commands []commandJSON `json:"commands"`
	Events   []eventJSON   `json:"events"`
}

type headJSON struct {
	Version  uint64 `json:"version"`
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
}

type commandJSON struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	BodyHash      string `json:"body_hash,omitempty"` // hexadecimal: a number would not survive JavaScript
	CorrelationID string `json:"correlation_id,omitempty"`
	CausationID   string `json:"causation_id,omitempty"`
	Principal     string `json:"principal,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`
	Corrects      string `json:"corrects,omitempty"`
	Schema        int    `json:"schema,omitempty"`

	Data json.RawMessage `json:"data,omitempty"`
}

type eventJSON struct {
	Type    string          `json:"type"`
	Schema  int             `json:"schema"`
	Command int             `json:"command"`
	Data    json.RawMessage `json:"data"`
}

const (
	sumJSONStart = `,"sum":"`
	sumJSONEnd   = `"}`
	sumJSONBytes = len(sumJSONStart) + 8 + len(sumJSONEnd)
)

func encodeCommitJSON(c *Commit) ([]byte, error) {
	if err := c.embeddable(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(2 * c.packedBytes())
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c.toJSON()); err != nil {
		return nil, unfit(c, err)
	}
	return appendSumJSON(bytes.TrimSuffix(b.Bytes(), []byte("}\n"))), nil
}

// embeddable reports whether all data of c may stand in its JSON.
func (c *Commit) embeddable() error {
	for i := range c.Events {
		if err := embeddable(c.Events[i].Data); err != nil {
			return fmt.Errorf("data of %s: %w", c.Events[i].Type, err)
		}
	}
	for i := range c.Commands {
		if len(c.Commands[i].Data) == 0 {
			continue
		}
		if err := embeddable(c.Commands[i].Data); err != nil {
			return fmt.Errorf("data of command %s: %w", c.Commands[i].Name, err)
		}
	}
	return nil
}

// embeddable reports whether data may stand in a commit's JSON.
func embeddable(data []byte) error {
	if err := guardJSON(data); err != nil {
		return err
	}
	if !json.Valid(data) {
		return invalidJSON(data, 0, "it is not one JSON value")
	}
	return nil
}

func (c *Commit) toJSON() *commitJSON {
	j := &commitJSON{
		Format:   c.format(),
		Type:     c.Stream.Type,
		ID:       c.Stream.ID,
		Commit:   c.ID,
		After:    headJSON{Version: c.After.Version, Sequence: c.After.Sequence, Hash: c.After.Hash.String()},
		Time:     timeOf(c.Time.UnixMicro()),
		Epoch:    c.Epoch,
		Commands: make([]commandJSON, len(c.Commands)),
		Events:   make([]eventJSON, len(c.Events)),
	}
	for i, m := range c.Commands {
		j.Commands[i] = commandJSON{
			ID: m.ID, Name: m.Name, BodyHash: formatBodyHash(m.BodyHash), CorrelationID: m.CorrelationID,
			CausationID: m.CausationID, Principal: m.Principal, Traceparent: m.Traceparent,
			Corrects: m.Corrects, Schema: m.Schema, Data: m.Data,
		}
	}
	for i, e := range c.Events {
		j.Events[i] = eventJSON{Type: e.Type, Schema: e.Schema, Command: e.Command, Data: e.Data}
	}
	return j
}

func decodeCommitJSON(stored []byte) (*Commit, error) {
	if !cutSumJSON(stored) {
		return nil, errSum
	}
	var j commitJSON
	// The guard's limits are those of one value; a commit may hold many. The
	// sum says that it is what was written, and each event's data was guarded
	// then and is guarded again when it is decoded.
	if err := json.Unmarshal(stored, &j); err != nil {
		return nil, err
	}
	c, err := j.commit()
	if err == nil && j.Format != c.format() {
		return nil, errFormat
	}
	return c, err
}

func (j *commitJSON) commit() (*Commit, error) {
	c := &Commit{
		Stream:   StreamID{Type: j.Type, ID: j.ID},
		ID:       j.Commit,
		After:    Head{Version: j.After.Version, Sequence: j.After.Sequence},
		Time:     j.Time.UTC(),
		Epoch:    j.Epoch,
		Commands: make([]Command, len(j.Commands)),
		Events:   make([]Event, len(j.Events)),
	}
	if err := parseHash(c.After.Hash[:], j.After.Hash); err != nil {
		return nil, err
	}
	for i, m := range j.Commands {
		bodyHash, err := parseBodyHash(m.BodyHash)
		if err != nil {
			return nil, err
		}
		c.Commands[i] = Command{
			ID: m.ID, Name: m.Name, BodyHash: bodyHash, CorrelationID: m.CorrelationID,
			CausationID: m.CausationID, Principal: m.Principal, Traceparent: m.Traceparent,
			Corrects: m.Corrects, Schema: m.Schema, Data: []byte(m.Data),
		}
	}
	for i, e := range j.Events {
		c.Events[i] = Event{Type: e.Type, Schema: e.Schema, Command: e.Command, Data: e.Data}
	}
	return c, nil
}

func parseHash(dst []byte, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return errors.New("a hash has not the length of one")
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

func formatBodyHash(h uint64) string {
	if h == 0 {
		return ""
	}
	return strconv.FormatUint(h, 16)
}

func parseBodyHash(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	h, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, errors.New("a body hash is not hexadecimal")
	}
	return h, nil
}

func appendSumJSON(b []byte) []byte {
	sum := crc32.Checksum(b, castagnoli)
	b = append(b, sumJSONStart...)
	b = fmt.Appendf(b, "%08x", sum)
	return append(b, sumJSONEnd...)
}

func cutSumJSON(stored []byte) bool {
	if len(stored) < sumJSONBytes {
		return false
	}
	body := stored[:len(stored)-sumJSONBytes]
	return bytes.Equal(appendSumJSON(bytes.Clone(body)), stored)
}
