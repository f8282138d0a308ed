package actor

import (
	"crypto/sha256"

	"github.com/cespare/xxhash/v2"

	"github.com/annals-go/annals/store"
)

// Command asks one aggregate instance for a decision.
type Command struct {
	Stream store.StreamID
	// Name is the command's wire name.
	Name string
	// Body is the encoded command; empty means all fields at their zero values.
	// The system keeps no reference to it after the call.
	Body []byte
	// Codec is how Body is encoded; nil means as the log encodes.
	Codec store.Codec
	// Schema is the version of the command's schema that Body is written in; 0 means
	// the last one.
	Schema int

	// ID makes the command happen at most once: the same id again, with the
	// same name and the same bytes, returns the first result; of personal fields the
	// bytes may differ, for nothing that is kept can tell. At most
	// [store.MaxCommandIDBytes] bytes. Empty: one is made up, and a repetition
	// is a new command.
	ID string
	// Expected is the version that the sender saw, if HasExpected.
	Expected    uint64
	HasExpected bool
	// OnConflict says what to do when the stream is not at Expected.
	OnConflict Policy

	// What is remembered with the events, each at most [store.MaxMetadataBytes].
	CorrelationID string
	CausationID   string
	Principal     string
	Traceparent   string
	// Corrects names the event that the command makes good, as
	// [store.ParseCorrected] reads it; empty if it corrects none. An event of the
	// same stream that is named by its version must be there; an id, or an event
	// of another stream, is not looked for.
	Corrects string

	value any // the decoded command of a typed sender, in place of Body
}

// Policy says what happens to a command that names an expected version when
// the stream has another.
type Policy int

const (
	// Fail answers [store.ErrConflict]. It is the default.
	Fail Policy = iota
	// Retry decides on the current state as if no version had been named.
	Retry
	// Merge decides on the current state if the aggregate's Merge accepts the
	// events in between, and answers a conflict otherwise.
	Merge
)

// Result is what a command did.
type Result struct {
	// Version is the stream's after the command.
	Version uint64
	// Position is that of the command's last event. When the command decided
	// nothing, it is that of the stream's last event, 0 if there is none.
	Position store.Position
	// Events are the wire names of the command's events, in order.
	Events []string
	// Duplicate is set when this is the result of an earlier command with the
	// same id.
	Duplicate bool
}

// commandKey stands for a command id: the first 16 bytes of its SHA-256, so
// that a memory of ids has a fixed size and no sender can make two ids meet.
type commandKey [16]byte

func keyOf(id string) commandKey {
	sum := sha256.Sum256([]byte(id))
	return commandKey(sum[:16])
}

// bodyHash is never 0: that means an id that cannot come again.
func bodyHash(name string, body []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(name)
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(body)
	return max(d.Sum64(), 1)
}
