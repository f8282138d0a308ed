package projector

import (
	"encoding/json"
	"time"

	"github.com/annals-go/annals/store"
)

// DeadLetter is a stream that is parked for one read model: an event of it
// could not be applied, and it and the stream's later events wait, in order,
// while all other streams go on. The events themselves stay where they are, in
// the log.
type DeadLetter struct {
	Model
	// ID names the dead letter as long as the stream is parked: 12 hexadecimal digits.
	ID string `json:"id"`
	// Worker is whose it is.
	Worker string `json:"worker"`
	// Stream and Event are the version, the position and the wire type of the
	// event that the stream waits at.
	Stream   store.StreamID `json:"stream"`
	At       uint64         `json:"at"`
	Position store.Position `json:"position"`
	Event    string         `json:"event"`
	// Kind is one of the Kind constants; empty while the event has not been tried,
	// because a retry of those before it was interrupted.
	Kind string `json:"kind"`
	// Error is what the last attempt came to. Where that may tell something personal it
	// says no more than of which type the error is.
	Error string `json:"error"`
	// Attempts is how often the event was tried, with what operators asked for.
	Attempts int `json:"attempts"`
	// Parked is when the stream was parked, Tried when the event was tried last.
	Parked time.Time `json:"parked"`
	Tried  time.Time `json:"tried"`
	// Queued is how many later events of the stream wait behind the first.
	Queued uint64 `json:"queued"`
	// Edited is what the event holds instead of its data when it is tried again:
	// JSON. Absent if nobody edited it.
	Edited json.RawMessage `json:"edited,omitempty"`
	// By is who edited it.
	By string `json:"by,omitempty"`
}

// Why a stream is parked. A store that cannot be asked never parks anything.
const (
	// KindDecode: the event's data or its type could not be read.
	KindDecode = "decode"
	// KindHandler: the definition's own function panicked or returned an error.
	KindHandler = "handler"
)

// Skipped is the record of an event that is not in a read model because
// somebody said so.
type Skipped struct {
	Model
	Worker   string         `json:"worker"`
	Stream   store.StreamID `json:"stream"`
	At       uint64         `json:"at"`
	Position store.Position `json:"position"`
	Event    string         `json:"event"`
	// Error is what stood in the way, empty for an event of a skip list.
	Error string `json:"error,omitempty"`
	// Reason and By are what was said, and by whom.
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
}

// LetterEvent is one event of a parked stream, with its data as JSON where that
// can be had.
type LetterEvent struct {
	At       uint64          `json:"at"`
	Position store.Position  `json:"position"`
	Event    string          `json:"event"`
	Time     time.Time       `json:"time"`
	Data     json.RawMessage `json:"data,omitempty"`
	// Shredded are the paths of the personal values that are not in the data any more,
	// for the person was forgotten.
	Shredded []string `json:"shredded,omitempty"`
	// Raw is the data as stored, where it could not be turned into JSON.
	Raw []byte `json:"raw,omitempty"`
}
