package store

import "fmt"

// MaxEvents is the largest number of events in one commit: the index within
// a commit takes ten bits of a [Position].
const MaxEvents = 1 << positionIndexBits

const positionIndexBits = 10

// Position says where an event stands in the whole log. Positions are
// strictly increasing and totally ordered; nothing else may be concluded from
// the number. The zero Position is before every event.
//
// It packs the log's sequence of the commit (54 bits) and the event's index
// in it (10 bits), so that it stays exact in a JSON number, which JavaScript
// reads with 53 bits, up to 8.8 million million commits.
type Position uint64

// PositionOf packs the commit's sequence in the log (from 1) and the event's
// index in the commit, in [0, MaxEvents).
func PositionOf(sequence uint64, index int) Position {
	if index < 0 || index >= MaxEvents {
		panic(fmt.Sprintf("store: event index %d out of [0, %d)", index, MaxEvents))
	}
	return Position(sequence<<positionIndexBits | uint64(index))
}

// Sequence returns the log's sequence of the commit that holds the event.
func (p Position) Sequence() uint64 { return uint64(p) >> positionIndexBits }

// Index returns the event's index in its commit.
func (p Position) Index() int { return int(p & (MaxEvents - 1)) }
