package kv

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Commit implements [projector.View]. It returns when the commit is on the disk:
// the next one replaces the values before these, which until then are the ones
// that a power cut leaves. If that cannot be known, the error matches
// [store.ErrUnknown], for the commit may be lost yet.
func (v *view) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if w.Apply != nil {
		return projector.Checkpoint{}, v.failed("commit", noTables(v.name))
	}
	c := w.Checkpoint
	batch, err := v.batch(w)
	if err != nil {
		return projector.Checkpoint{}, v.failed("commit", err)
	}
	if c.Revision, err = v.storeOnce(ctx, c.Revision, nuid.Next(), batch); err != nil {
		return projector.Checkpoint{}, err
	}
	if err := v.durable(ctx); err != nil {
		return projector.Checkpoint{}, v.failed("commit", fmt.Errorf("%w: %w", store.ErrUnknown, err))
	}
	return c, nil
}

// batch makes the messages of a commit: the documents, the notes, and the
// checkpoint last, so that what a power cut leaves of a batch never has a
// checkpoint beyond the rest.
func (v *view) batch(w projector.Write) ([]*nats.Msg, error) {
	if err := w.CheckSealed(); err != nil {
		return nil, err
	}
	size := len(w.Documents) + len(w.Notes)
	if size > v.MaxChanges() {
		return nil, &store.TooLargeError{What: "number of changes in a commit", Size: size, Limit: v.MaxChanges()}
	}
	batch := make([]*nats.Msg, 0, size+1)
	for _, d := range w.Documents {
		m, err := v.documentMessage(d)
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
	c := w.Checkpoint
	for _, n := range w.Notes {
		m, err := v.noteMessage(c.Worker, n)
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(v.names.checkpoint(c.Worker))
	m.Data = data
	return append(batch, m), nil
}

// headerRoom is what the headers of a document take at most.
const headerRoom = 512

func (v *view) documentMessage(d projector.Document) (*nats.Msg, error) {
	subject, err := v.names.document(d.Key)
	if err != nil {
		return nil, err
	}
	if most := int(v.conn.MaxPayload()) - headerRoom; len(d.Document) > most {
		return nil, &store.TooLargeError{What: fmt.Sprintf("document %q", d.Key), Size: len(d.Document), Limit: most}
	}
	m := nats.NewMsg(subject)
	m.Data = d.Document
	m.Header[positionHeader] = []string{strconv.FormatUint(uint64(d.Position), 10)}
	if d.Document == nil {
		m.Header[operationHdr] = []string{deletion}
	}
	if d.Late != (projector.Late{}) {
		m.Header[lateHeader] = []string{formatLate(d.Late)}
	}
	return m, nil
}
