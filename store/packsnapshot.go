package store

import "fmt"

// MaxSnapshotBytes is the largest snapshot as it is stored, in bytes. A snapshot
// store may be set to take less.
const MaxSnapshotBytes = 64 << 20

const snapshotFields = 12

// EncodeSnapshot returns the bytes that a snapshot store keeps of s, which have
// a check sum. They do not depend on the namespace's codec. The time is stored
// in UTC, cut to the microsecond. Errors: [*InvalidError], [*TooLargeError].
func EncodeSnapshot(s *Snapshot) ([]byte, error) { return EncodeSnapshotWithin(MaxSnapshotBytes, s) }

// EncodeSnapshotWithin is EncodeSnapshot for a store that takes at most limit
// bytes.
func EncodeSnapshotWithin(limit int, s *Snapshot) ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	const overhead = 128
	size := overhead + len(s.Stream.Type) + len(s.Stream.ID) + len(s.State) + len(s.Memory)
	if limit = min(limit, MaxSnapshotBytes); size > limit {
		return nil, &TooLargeError{What: "snapshot of " + s.Stream.String(), Size: size, Limit: limit}
	}
	return packSnapshot(make([]byte, 0, size), s), nil
}

// packSnapshot lays a snapshot out as commits are: what is large comes first.
//
//	[format, state, memory, type, id, version, sequence, hash, position,
//	microseconds, schema, sum]
//
// The epoch, if there is one, follows the microseconds.
func packSnapshot(b []byte, s *Snapshot) []byte {
	format := formatOf(s.Epoch)
	b = appendFormat(b, snapshotFields, format)
	b = appendBytes(b, s.State)
	b = appendBytes(b, s.Memory)
	b = appendText(b, s.Stream.Type)
	b = appendText(b, s.Stream.ID)
	b = appendUint(b, s.Head.Version)
	b = appendUint(b, s.Head.Sequence)
	b = appendBytes(b, s.Head.Hash[:])
	b = appendUint(b, uint64(s.Position))
	b = appendInt64(b, s.Time.UnixMicro())
	b = appendEpoch(b, format, s.Epoch)
	b = appendUint(b, uint64(s.Schema))
	return appendSum(b)
}

// DecodeSnapshot reads what [EncodeSnapshot] wrote. The bytes may come from
// anywhere; State and Memory are parts of them. The error matches [ErrDamaged].
func DecodeSnapshot(stored []byte) (*Snapshot, error) {
	s, err := unpackSnapshot(stored)
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: snapshot: %w", ErrDamaged, err)
	}
	return s, nil
}

// DecodeSnapshotOf is DecodeSnapshot where the stream is known: the snapshot of
// another stream is damage.
func DecodeSnapshotOf(id StreamID, stored []byte) (*Snapshot, error) {
	s, err := DecodeSnapshot(stored)
	if err == nil && s.Stream != id {
		return nil, fmt.Errorf("%w: the snapshot kept for %s is of %s", ErrDamaged, id, s.Stream)
	}
	return s, err
}

func unpackSnapshot(stored []byte) (*Snapshot, error) {
	body, ok := cutSum(stored)
	if !ok {
		return nil, errSum
	}
	u := unpacker{data: body}
	format, err := u.format(snapshotFields, formatLeased)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{State: u.bytes(), Memory: u.bytes()}
	u.beginTexts()
	s.Stream.Type = u.string()
	s.Stream.ID = u.string()
	s.Head.Version = u.uint()
	s.Head.Sequence = u.uint()
	u.exactly(s.Head.Hash[:])
	s.Position = Position(u.uint())
	s.Time = timeOf(u.int64())
	s.Epoch = u.epoch(format)
	s.Schema = u.int(maxSchema)
	return s, u.finish()
}

func (s *Snapshot) validate() error {
	if err := s.Stream.Validate(); err != nil {
		return err
	}
	var reason string
	switch {
	case s.Head.Version == 0 || s.Head.Sequence == 0:
		reason = "it is of a stream without events"
	case s.Head.Sequence > s.Position.Sequence():
		reason = "its position is before that of its head"
	case s.Schema < 1 || s.Schema > maxSchema:
		reason = "its state has no schema version"
	case s.Time.Before(earliest) || s.Time.After(latest):
		reason = "its time is not within the years 1 to 9999"
	default:
		return nil
	}
	return &InvalidError{What: "snapshot of", Value: s.Stream.String(), Reason: reason}
}
