package kv

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// maxNotes is how many notes one request asks for at most.
const maxNotes = 1000

// Notes implements [projector.View]. A replica answers that has at least what
// the leader had when it was asked for the worker's checkpoint.
func (v *view) Notes(ctx context.Context, worker string) ([]projector.Note, error) {
	leader, _, err := v.checkpoint(ctx, worker)
	if err != nil {
		return nil, v.failed("load notes", err)
	}
	var notes []projector.Note
	err = v.fresh(ctx, func() (fresh bool, err error) {
		notes, fresh, err = v.notesSince(ctx, worker, leader.Revision)
		return fresh, err
	})
	if err != nil {
		return nil, v.failed("load notes", err)
	}
	slices.SortFunc(notes, func(a, b projector.Note) int { return cmp.Compare(a.Key, b.Key) })
	return notes, nil
}

// notesSince reads the last notes; fresh is whether the replica that answered
// has the stream up to revision.
func (v *view) notesSince(ctx context.Context, worker string, revision uint64) (notes []projector.Note, fresh bool, err error) {
	for after := uint64(0); ; {
		r := getRequest{Sequence: after + 1, Batch: maxNotes, MultiLast: []string{v.names.note(worker, "*"), v.names.checkpoint(worker)}}
		last, err := v.fromAny(ctx, r, maxNotes)
		if err != nil {
			return nil, false, err
		}
		for _, m := range last.found {
			n, ok, err := v.toNote(m, worker)
			if err != nil {
				return nil, false, err
			}
			if ok {
				notes = append(notes, n)
			}
		}
		if last.left == 0 {
			return notes, revision == 0 || last.upTo >= revision, nil
		}
		after = last.furthest()
	}
}

// toNote reads a note; ok is false if the message is none, or is deleted.
func (v *view) toNote(m *message, worker string) (n projector.Note, ok bool, err error) {
	token, ok := strings.CutPrefix(m.subject, v.names.note(worker, ""))
	if !ok || m.deleted() {
		return n, false, nil
	}
	if n.Key, err = store.DecodeToken(token); err != nil {
		return n, false, fmt.Errorf("bucket %s: key of a note: %w: %w", v.names.bucket, store.ErrDamaged, err)
	}
	n.Value = m.data
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
