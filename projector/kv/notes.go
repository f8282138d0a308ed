package kv

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// maxNotes is how many notes one request asks for at most: all of their
// subjects have to fit into it.
const maxNotes = 500

// Notes implements [projector.View]. They are as the last commit that is whole
// left them: what a power cut kept of a later one does not count.
func (v *view) Notes(ctx context.Context, worker string) (notes []projector.Note, err error) {
	err = v.fresh(ctx, func() (bool, error) {
		c, at, err := v.wholeCheckpoint(ctx, worker)
		if err != nil {
			return false, err
		}
		if notes, err = v.notesAt(ctx, worker, at); err != nil {
			return false, err
		}
		now, err := v.revision(ctx, worker)
		return now == c.Revision, err // else a commit may have taken values away that were to be read
	})
	if err != nil {
		return nil, v.failed("load notes", err)
	}
	slices.SortFunc(notes, func(a, b projector.Note) int { return cmp.Compare(a.Key, b.Key) })
	return notes, nil
}

// notesAt returns the worker's notes as they were when the message at that
// sequence, its checkpoint, was stored.
func (v *view) notesAt(ctx context.Context, worker string, at uint64) ([]projector.Note, error) {
	if at == 0 {
		return nil, nil
	}
	subjects, err := v.noteSubjects(ctx, worker)
	if err != nil {
		return nil, err
	}
	var notes []projector.Note
	for chunk := range slices.Chunk(subjects, maxNotes) {
		found, err := v.valuesAt(ctx, chunk, v.names.checkpoint(worker), at)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if n, ok, err := v.toNote(m, worker); err != nil {
				return nil, err
			} else if ok && !m.deleted() {
				notes = append(notes, n)
			}
		}
	}
	return notes, nil
}

// noteSubjects returns the subjects of all notes that the worker ever had. The
// leader answers.
func (v *view) noteSubjects(ctx context.Context, worker string) ([]string, error) {
	return subjectsIn(ctx, v.js, v.at.stream, v.names.note(worker, "*"))
}

// subjectsIn returns the subjects in a stream that match the filter, with those of
// values that were deleted, as they all are at one instant. The leader answers.
func subjectsIn(ctx context.Context, js jetstream.JetStream, stream, filter string) (subjects []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	err = repeated(ctx, func(ctx context.Context) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return err
		}
		subjects = slices.Sorted(maps.Keys(info.State.Subjects))
		return nil
	})
	return subjects, err
}

// valuesAt returns the values that the subjects had when the checkpoint at that
// sequence was stored. The checkpoint is asked for with them: a replica that has
// it has all that is before it.
func (v *view) valuesAt(ctx context.Context, subjects []string, checkpoint string, at uint64) (found []*message, err error) {
	r := getRequest{MultiLast: append(slices.Clone(subjects), checkpoint), UpTo: at}
	err = v.fresh(ctx, func() (bool, error) {
		last, err := v.fromAny(ctx, r, len(r.MultiLast))
		if err != nil || last.left > 0 {
			return false, err
		}
		found = last.found
		return last.furthest() == at, nil
	})
	return found, err
}

// toNote reads a note, or its deletion; ok is false if the message is neither.
func (v *view) toNote(m *message, worker string) (n projector.Note, ok bool, err error) {
	token, ok := strings.CutPrefix(m.subject, v.names.note(worker, ""))
	if !ok {
		return n, false, nil
	}
	if n.Key, err = store.DecodeToken(token); err != nil {
		return n, false, fmt.Errorf("bucket %s: key of a note: %w: %w", v.names.bucket, store.ErrDamaged, err)
	}
	if !m.deleted() {
		n.Value = m.data
	}
	return n, true, nil
}

func (v *view) noteMessage(worker string, n projector.Note) (*nats.Msg, error) {
	token, err := store.EncodeToken(n.Key)
	if err != nil {
		return nil, err
	}
	if most := int(v.conn.MaxPayload()) - headerRoom; len(n.Value) > most {
		return nil, &store.TooLargeError{What: fmt.Sprintf("note %q", n.Key), Size: len(n.Value), Limit: most}
	}
	m := nats.NewMsg(v.names.note(worker, token))
	m.Data = n.Value
	if n.Value == nil {
		m.Header[operationHdr] = []string{deletion}
	}
	return m, nil
}
