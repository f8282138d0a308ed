package store

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// MaxCommitBytes is the largest commit as it is stored: well below what a NATS
// server takes in one message (1 MiB unless configured).
const MaxCommitBytes = 512 << 10

// HashOf returns the hash of a commit as it is stored.
func HashOf(stored []byte) Hash {
	sum := sha256.Sum256(stored)
	return Hash(sum[:len(Hash{})])
}

// EncodeCommit returns the bytes that a log stores of c: all that belongs to
// the writer, in one body. With the codec [JSON] the body is one readable
// object with the events' data in it as JSON; otherwise it is compact. The
// commit's time is stored in UTC, cut to the microsecond. Identical commits give
// identical bytes. Personal data in plain are refused: nothing stores them by
// mistake. Errors: [*InvalidError], [*TooLargeError].
func EncodeCommit(codec Codec, c *Commit) ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if err := c.sealed(); err != nil {
		return nil, err
	}
	if size := c.dataBytes(); size > MaxCommitBytes {
		return nil, &TooLargeError{What: "commit of " + c.Stream.String(), Size: size, Limit: MaxCommitBytes}
	}
	stored, err := encodeBody(codec, c)
	if err != nil {
		return nil, err
	}
	if len(stored) > MaxCommitBytes {
		return nil, &TooLargeError{What: "commit of " + c.Stream.String(), Size: len(stored), Limit: MaxCommitBytes}
	}
	return stored, nil
}

// sealed refuses a commit with personal data that are not sealed.
func (c *Commit) sealed() error {
	const reason = "it has personal data that are not sealed: append it to a log that seals them"
	for i := range c.Events {
		if e := &c.Events[i]; len(e.Personal) > 0 {
			return &InvalidError{What: "event " + e.Type, Value: e.Personal[0].Path, Reason: reason}
		}
	}
	for i := range c.Commands {
		if m := &c.Commands[i]; len(m.Personal) > 0 {
			return &InvalidError{What: "command " + m.Name, Value: m.Personal[0].Path, Reason: reason}
		}
	}
	return nil
}

func encodeBody(codec Codec, c *Commit) ([]byte, error) {
	if codec == JSON {
		return encodeCommitJSON(c)
	}
	return packCommit(c), nil
}

func (c *Commit) dataBytes() int {
	size := 0
	for i := range c.Events {
		size += len(c.Events[i].Data)
	}
	for i := range c.Commands {
		size += len(c.Commands[i].Data)
	}
	return size
}

// DecodeCommit reads what [EncodeCommit] wrote and a log stream holds at
// sequence, and sets Local and Hash, and Sequence as if there were one log
// stream. The bytes may come from anywhere. The commit takes
// them over: its events' data are parts of stored, and its texts are parts of
// one string, so clone a text that is to outlive the commit. The error matches
// [ErrDamaged].
func DecodeCommit(codec Codec, stored []byte, sequence uint64) (*Commit, error) {
	if len(stored) > MaxCommitBytes {
		return nil, damagedAt(sequence, "it is larger than any commit")
	}
	c, err := decodeBody(codec, stored)
	if err != nil {
		return nil, damagedAt(sequence, err.Error())
	}
	if reason := c.faultOfShape(); reason != "" {
		return nil, damagedAt(sequence, reason)
	}
	if sequence > maxSequence || c.After.Sequence >= sequence {
		return nil, damagedAt(sequence, "it follows a commit that is not before it")
	}
	c.Sequence, c.Local, c.Hash = sequence, sequence, HashOf(stored)
	return c, nil
}

func decodeBody(codec Codec, stored []byte) (*Commit, error) {
	if codec == JSON {
		return decodeCommitJSON(stored)
	}
	return unpackCommit(stored)
}

func damagedAt(sequence uint64, reason string) error {
	return fmt.Errorf("%w: commit at sequence %d: %s", ErrDamaged, sequence, reason)
}

// DecodeNext reads the commit that a log stream holds at sequence as the one of
// the stream that comes after head, and checks that it is: what every reader of a
// stream does. The error is a [*DamageError].
func DecodeNext(codec Codec, stored []byte, sequence uint64, id StreamID, head Head) (*Commit, error) {
	c, err := DecodeCommit(codec, stored, sequence)
	if err != nil {
		return nil, &DamageError{Stream: id, Version: head.Version + 1, Sequence: sequence, Reason: err.Error()}
	}
	if c.Stream != id {
		reason := "it holds a commit of " + c.Stream.String()
		return nil, &DamageError{Stream: id, Version: head.Version + 1, Sequence: sequence, Reason: reason}
	}
	return c, c.Follows(head)
}

// Follows reports whether c is the commit after h: the next version, holding
// h's hash. The error is a [*DamageError].
func (c *Commit) Follows(h Head) error {
	var reason string
	switch {
	case c.After.Version != h.Version:
		reason = fmt.Sprintf("the commit follows version %d, the one before it ends at %d", c.After.Version, h.Version)
	case c.After.Hash != h.Hash:
		reason = fmt.Sprintf("the commit follows the hash %s, the one before it has %s", c.After.Hash, h.Hash)
	default:
		return nil
	}
	return &DamageError{Stream: c.Stream, Version: h.Version + 1, Sequence: c.Sequence, Reason: reason}
}

// timeOf returns the time that is stored as microseconds since 1970.
func timeOf(microseconds int64) time.Time { return time.UnixMicro(microseconds).UTC() }
