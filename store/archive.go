package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// ErrArchived: what is wanted was taken out of the log, and the log was opened
// without the archive that has it, or with another one.
var ErrArchived = errors.New("archived")

// Archive holds the commits that were taken out of a log, exactly as they were
// stored. The log and its archive hold every sequence together: a log reads on
// in its archive where it has no commits of its own, so that nobody above it
// sees a difference. All methods may be called from many goroutines, and what
// they yield belongs to the caller.
//
// An archive may hold commits that are still in the log. What another process
// has put into it is seen by the next call.
type Archive interface {
	// Stream yields the commits of a stream that follow the head after, in
	// order, without a gap, as far as the archive holds them. It yields nothing
	// if it does not hold the one that comes next. The last pair has the error, if
	// any: [ErrDamaged], or [ErrUnavailable] if the archive could not be asked.
	Stream(ctx context.Context, id StreamID, after Head) iter.Seq2[*Commit, error]

	// Between yields what the archive holds of the commits whose sequence in the
	// total order is above after and below before, in order. What it does not hold
	// it passes over. Errors are those of Stream.
	Between(ctx context.Context, after, before uint64) iter.Seq2[*Commit, error]
}

// Truncater is a [Log] that can be relieved of what its archive holds.
type Truncater interface {
	// Truncate takes out of the log the commits of a stream up to the one that
	// ends at below, and that one. Reads, feeds, tips, expectations of appends and
	// positions stay as they are; the commits come from the archive from now on.
	// What is not there any more need not be: the same call again does nothing.
	//
	// Nothing is taken out that the log's archive does not give back first: each
	// commit, chained up to below. The last commit of a stream is never taken
	// out. Errors:
	//   - [ErrInvalid]: the stream ends at below, or never was there.
	//   - [ErrArchived]: the log has no archive, or one that does not hold all of it.
	//   - [ErrDamaged]: the archive holds something else.
	//   - [ErrUnavailable]: log or archive could not be asked; some of it may be
	//     taken out.
	Truncate(ctx context.Context, id StreamID, below Head) error
}

// ArchivedError says that commits are not in the log any more, and that the log
// was opened without the archive that they were moved to: with none, or with one
// that does not hold them.
type ArchivedError struct {
	// Archive is the archive that was asked and does not hold them; empty if the log
	// has none.
	Archive string
	// Stream is whose commits are missing. The zero StreamID: those of a feed.
	Stream StreamID
	// Below is the head that the log's first commit of the stream builds on; zero
	// for a feed.
	Below Head
	// Version is the first that is missing of a stream; 0 without an archive.
	Version uint64
	// Sequence is the first that is missing in the total order; 0 for a stream.
	Sequence uint64
}

func (e *ArchivedError) Error() string {
	how := "this log was opened without that archive (see --archive)"
	if e.Archive != "" {
		how = "the archive " + e.Archive + " does not hold them: is it the right one? (see --archive)"
	}
	if e.Stream == (StreamID{}) {
		return fmt.Sprintf("commits from sequence %d on were moved to an archive: %s", e.Sequence, how)
	}
	from := ""
	if e.Version > 0 {
		from = fmt.Sprintf(" from version %d", e.Version)
	}
	return fmt.Sprintf("events of %s%s up to version %d were moved to an archive: %s", e.Stream, from, e.Below.Version, how)
}

// Unwrap makes the error match [ErrArchived].
func (e *ArchivedError) Unwrap() error { return ErrArchived }

// joins reports whether a commit from an archive is the one of the stream that
// comes after head.
func joins(c *Commit, id StreamID, head Head) error {
	if c.Stream != id {
		reason := "the archive gives a commit of " + c.Stream.String()
		return &DamageError{Stream: id, Version: head.Version + 1, Sequence: c.Sequence, Reason: reason}
	}
	if err := c.Follows(head); err != nil {
		return err
	}
	if c.After.Sequence != head.Sequence {
		return &DamageError{Stream: id, Version: head.Version + 1, Sequence: c.Sequence, Reason: "the commit names another sequence for the one before it"}
	}
	return nil
}

// placeOf says where an archive is, for people.
func placeOf(a Archive) string {
	if s, ok := a.(fmt.Stringer); ok {
		return s.String()
	}
	return "of this log"
}

// ReadArchived passes the commits of a stream that come after the head, up to
// the one that ends at until, from the archive to take, and returns the head
// that it came to. It is how a [Log] reads on where it was truncated; take may
// end it with an error, which is returned. An archive that is nil, or that does not
// hold all of them, is an [*ArchivedError], after those that it holds: whether it is
// the right one, or has lost them, cannot be told here. What was never taken out of
// the log is the caller's to call damage.
func ReadArchived(ctx context.Context, a Archive, id StreamID, head, until Head, take func(*Commit) error) (Head, error) {
	if a == nil {
		return head, &ArchivedError{Stream: id, Below: until}
	}
	for c, err := range a.Stream(ctx, id, head) {
		if err == nil {
			err = joins(c, id, head)
		}
		if err != nil {
			return head, err
		}
		head = c.Head()
		if err := take(c); err != nil {
			return head, err
		}
		if head.Version >= until.Version {
			break
		}
	}
	switch {
	case head == until:
		return head, nil
	case head.Version >= until.Version:
		return head, &DamageError{Stream: id, Version: until.Version + 1, Reason: "the archive ends with another commit than the one that the log goes on from"}
	}
	return head, &ArchivedError{Archive: placeOf(a), Stream: id, Below: until, Version: head.Version + 1}
}

// ReadArchivedBetween passes every commit whose sequence is above after and
// below before from the archive to take, in order, and returns the sequence of
// the last: what a [Feed] does where the log's sequences jump. Errors are those
// of [ReadArchived].
func ReadArchivedBetween(ctx context.Context, a Archive, after, before uint64, take func(*Commit) error) (uint64, error) {
	if a == nil {
		return after, &ArchivedError{Sequence: after + 1}
	}
	for c, err := range a.Between(ctx, after, before) {
		if err != nil {
			return after, err
		}
		if c.Sequence != after+1 {
			break
		}
		if err := take(c); err != nil {
			return after, err
		}
		after++
	}
	if after+1 < before {
		return after, &ArchivedError{Archive: placeOf(a), Sequence: after + 1}
	}
	return after, nil
}
