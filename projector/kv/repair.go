package kv

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
)

// A power cut may leave notes of a commit whose documents, or whose checkpoint,
// it took away. A document says itself which events it has; a note does not, and
// one that came to stay so would hide a parked stream, or park one for ever. So
// whoever loads the checkpoint takes such notes back first.

// takeBack makes the worker's notes what they were at the checkpoint that
// counts, which is at that sequence, and returns it with its new revision. settled
// is false if somebody else wrote meanwhile.
func (v *view) takeBack(ctx context.Context, c projector.Checkpoint, at uint64) (_ projector.Checkpoint, settled bool, err error) {
	m, err := v.fromLeader(ctx, getRequest{Sequence: at + 1, Next: v.names.note(c.Worker, "*")})
	if err != nil || m == nil {
		return c, err == nil, err
	}
	now, err := v.revision(ctx, c.Worker)
	if err != nil || now != c.Revision {
		return c, false, err // that was no remainder, but the commit of another
	}
	torn, last, err := v.notesAfter(ctx, c.Worker, at)
	if err != nil {
		return c, false, err
	}
	if at == 0 {
		return c, true, v.purgeNotes(ctx, c.Worker, last)
	}
	found, err := v.valuesAt(ctx, torn, v.names.checkpoint(c.Worker), at)
	if err != nil {
		return c, false, err
	}
	w := projector.Write{Checkpoint: c}
	if w.Notes, err = v.asTheyWere(c.Worker, torn, found); err != nil {
		return c, false, err
	}
	c, err = v.Commit(ctx, w)
	return c, err == nil, err
}

// notesAfter returns the subjects of the worker's notes that are stored after a
// sequence, each once, and the last sequence that one has.
func (v *view) notesAfter(ctx context.Context, worker string, at uint64) (subjects []string, last uint64, err error) {
	for last = at; ; {
		m, err := v.fromLeader(ctx, getRequest{Sequence: last + 1, Next: v.names.note(worker, "*")})
		if err != nil || m == nil {
			slices.Sort(subjects)
			return slices.Compact(subjects), last, err
		}
		subjects, last = append(subjects, m.subject), m.sequence
	}
}

// asTheyWere makes the notes that have the values found, and are deleted where
// none is found.
func (v *view) asTheyWere(worker string, subjects []string, found []*message) ([]projector.Note, error) {
	values := map[string]*message{}
	for _, m := range found {
		values[m.subject] = m
	}
	var notes []projector.Note
	for _, subject := range subjects {
		m := values[subject]
		if m == nil {
			m = &message{subject: subject, header: nats.Header{operationHdr: {deletion}}}
		}
		n, _, err := v.toNote(m, worker)
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// purgeNotes removes the worker's notes up to a sequence: the view is applied
// again from the first event, and what fails is found again.
func (v *view) purgeNotes(ctx context.Context, worker string, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	return repeated(ctx, func(ctx context.Context) error {
		stream, err := v.js.Stream(ctx, v.at.stream)
		if err != nil {
			return err
		}
		return stream.Purge(ctx, jetstream.WithPurgeSubject(v.names.note(worker, "*")), jetstream.WithPurgeSequence(last+1))
	})
}
