package store

import (
	"crypto/sha1"
	"encoding/hex"
	"iter"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Hash identifies the stored bytes of a commit: the first 16 bytes of their
// SHA-256 (FIPS 180-4). Each commit holds its predecessor's, a chain per
// stream, so that a commit that was lost, changed or replaced is noticed.
type Hash [16]byte

// String prints the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Head is where a stream ends, and what the next commit builds on. The zero
// Head is that of a stream without events.
type Head struct {
	// Version is the version of the last event: the count of events.
	Version uint64
	// Sequence is the last commit's in its log stream ([Commit.Local]). It is
	// what a conditional publish names; it is neither a count nor a position.
	Sequence uint64
	// Hash is the last commit's.
	Hash Hash
}

// Commit is what one append stores: events of one stream, all of them or
// none, with the commands that they answer.
//
// The fields up to Events are the writer's and are stored. Sequence, Local and
// Hash are the log's: it sets them on what it returns and on what it has
// appended, and ignores them in what it is given.
//
// A log may spread its streams over several log streams, each with sequences of
// its own, and put all commits into one total order as well. With one log
// stream there is one sequence, and Local equals Sequence.
type Commit struct {
	// Stream is whose history this is.
	Stream StreamID
	// ID is unique to this commit; it tells a writer whose acknowledgement was
	// lost that the commit in the log is its own.
	ID uuid.UUID
	// After is the head that the commit builds on. Its first event has version
	// After.Version+1.
	After Head
	// Time is when the writer decided, in UTC, to the microsecond.
	Time time.Time
	// Epoch is that of the lease under which the commit was written; 0 without a
	// lease. It never goes down in a stream.
	Epoch uint64
	// Commands are the commands that were answered, in the order of their
	// decisions: 1 to [MaxEvents] of them, each with at least one event.
	Commands []Command
	// Events are the 1 to [MaxEvents] events, in order, those of one command
	// side by side.
	Events []Event

	// Rests are the keys of the personal data that the writer's state was folded
	// from. They are not stored. A log that keeps personal data apart refuses the
	// commit with [ErrErased] if one of them is erased, so that nobody writes down
	// again what was forgotten.
	Rests []KeyRef

	// Sequence is the commit's place in the total order of the log, from 1: what
	// positions are made of.
	Sequence uint64
	// Local is the commit's sequence in its log stream, from 1: what the next
	// append to the stream names. It is never above Sequence.
	Local uint64
	// Hash is that of the stored bytes.
	Hash Hash
}

// Command is what a commit remembers of a command.
type Command struct {
	// ID is the command's id: the client's, or one made up at the edge. At most
	// [MaxCommandIDBytes] bytes of printable UTF-8.
	ID string
	// Name is the command's wire name.
	Name string
	// BodyHash tells another body under the same id from a repetition. 0 when
	// the id was made up and cannot come again.
	BodyHash uint64
	// CorrelationID is common to all that one request set off.
	CorrelationID string
	// CausationID is the id of the event or command that led to this one.
	CausationID string
	// Principal is who sent it, as authenticated.
	Principal string
	// Traceparent is the W3C trace context.
	Traceparent string
	// Corrects names the event that the command makes good, as [Corrected] prints
	// it; empty if it corrects none.
	Corrects string
	// Data is the command's encoded value, where a namespace keeps its commands;
	// otherwise empty. It belongs to the commit.
	Data []byte
	// Schema is the version of the command's schema that Data is written in, from
	// 1; 0 without Data.
	Schema int
	// Personal are the parts of Data that are about persons. They are not stored:
	// what is, has these parts sealed.
	Personal []Personal
}

// Limits of the texts that travel with a command, in bytes.
const (
	MaxCommandIDBytes = 128
	MaxMetadataBytes  = 1024
)

// Event is one event as it is stored.
type Event struct {
	// Type is the event's wire name.
	Type string
	// Schema is the version of the type's schema that Data is written in, from 1.
	Schema int
	// Command is the index, in the commit's Commands, of the command that the
	// event answers.
	Command int
	// Data is the event's encoded value. It belongs to the commit.
	Data []byte
	// Personal are the parts of Data that are about persons. They are not stored:
	// what is, has these parts sealed (package privacy).
	Personal []Personal
}

// Head returns the head of the stream with c as its last commit. c must be a
// stored one.
func (c *Commit) Head() Head {
	return Head{Version: c.After.Version + uint64(len(c.Events)), Sequence: c.Local, Hash: c.Hash}
}

// Last returns the position of the commit's last event. c must be a stored one.
func (c *Commit) Last() Position { return PositionOf(c.Sequence, len(c.Events)-1) }

// Recorded is one event of the log with all that is known about it, and its
// value: []byte as it was stored, or the application's type.
type Recorded[E any] struct {
	Stream   StreamID
	Version  uint64
	Position Position
	// ID is unique among all events: derived from stream, command and the
	// event's index among that command's events, so a repeated decision makes
	// the same ids.
	ID uuid.UUID
	// Part tells the values apart that this build makes of one stored event, from
	// 0: see [Split]. They have all else in common but Type and Data.
	Part int
	// Type is the event's wire name: as it was stored, or, once Data is decoded, that
	// of Data.
	Type string
	// Schema is the version that the event was stored in.
	Schema int
	// Time is when it was decided, in UTC.
	Time time.Time
	// Epoch is that of the lease under which it was stored; 0 without a lease.
	Epoch   uint64
	Command Command
	// Personal are the parts of the stored data that are about persons.
	Personal []Personal
	// Shredded are the paths of what was forgotten in the stored data, where somebody
	// has looked for them: see [ShreddedIn].
	Shredded []string
	Data     E
}

// Recorded yields the commit's events in order. c must be a stored one. The
// data are shared with the commit.
func (c *Commit) Recorded() iter.Seq[Recorded[[]byte]] {
	return func(yield func(Recorded[[]byte]) bool) {
		command, nth := -1, 0
		for i, e := range c.Events {
			if e.Command != command {
				command, nth = e.Command, 0
			}
			r := Recorded[[]byte]{
				Stream:   c.Stream,
				Version:  c.After.Version + uint64(i) + 1,
				Position: PositionOf(c.Sequence, i),
				ID:       eventID(c.Stream, c.Commands[e.Command].ID, nth),
				Type:     e.Type,
				Schema:   e.Schema,
				Time:     c.Time,
				Epoch:    c.Epoch,
				Command:  c.Commands[e.Command],
				Personal: e.Personal,
				Data:     e.Data,
			}
			nth++
			if !yield(r) {
				return
			}
		}
	}
}

// eventIDSpace is the name space of event ids (RFC 9562, version 5).
var eventIDSpace = uuid.MustParse("6f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a11")

func eventID(s StreamID, command string, nth int) uuid.UUID {
	var room [256]byte // enough for most, and not on the heap
	name := append(room[:0], eventIDSpace[:]...)
	name = append(name, s.Type...)
	name = append(name, 0)
	name = append(name, s.ID...)
	name = append(name, 0)
	name = append(name, command...)
	name = append(name, 0)
	name = strconv.AppendInt(name, int64(nth), 10)
	hash := sha1.Sum(name)
	id := uuid.UUID(hash[:16])
	id[6] = id[6]&0x0f | 5<<4 // the version
	id[8] = id[8]&0x3f | 0x80 // the variant
	return id
}

// WithData returns r with other data.
func WithData[D, E any](r Recorded[D], data E) Recorded[E] {
	return Recorded[E]{
		Stream: r.Stream, Version: r.Version, Position: r.Position, ID: r.ID, Part: r.Part, Type: r.Type,
		Schema: r.Schema, Time: r.Time, Epoch: r.Epoch, Command: r.Command, Personal: r.Personal,
		Shredded: r.Shredded, Data: data,
	}
}
