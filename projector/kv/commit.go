package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Headers of an atomic batch.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// outcome is what one attempt at a commit came to.
type outcome int

const (
	unheard   outcome = iota // it may be stored now, later or never
	notStored                // it is not stored; the next attempt may be
	moved                    // it is not stored, for the checkpoint is another: perhaps that of an earlier attempt
	refused                  // it is not stored, nor would the next be
	committed
)

// Commit implements [projector.View]. It returns when the commit is on the disk:
// the next one replaces the values before these, which until then are the ones
// that a power cut leaves. If that cannot be known, the error matches
// [store.ErrUnknown], for the commit may be lost yet.
func (v *view) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if w.Apply != nil {
		return projector.Checkpoint{}, v.failed("commit", &store.InvalidError{What: "view", Value: v.name, Reason: "buckets keep no tables"})
	}
	id, c := nuid.Next(), w.Checkpoint
	batch, err := v.batch(id, w)
	if err != nil {
		return projector.Checkpoint{}, v.failed("commit", err)
	}
	if c.Revision, err = v.storeOnce(ctx, c, id, batch); err != nil {
		return projector.Checkpoint{}, err
	}
	if err := v.durable(ctx); err != nil {
		return projector.Checkpoint{}, v.failed("commit", fmt.Errorf("%w: %w", store.ErrUnknown, err))
	}
	return c, nil
}

// storeOnce sends the batch until its outcome is definite, and returns the
// checkpoint's new revision. Each attempt expects the checkpoint that c names, so
// one of them at most is stored, however late a lost one comes through.
func (v *view) storeOnce(ctx context.Context, c projector.Checkpoint, id string, batch []*nats.Msg) (uint64, error) {
	pending := false // an attempt may be stored
	var shortage shortage
	var cause error
	for try := 0; ; try++ {
		revision, result, err := v.attempt(ctx, batch)
		if cause == nil || ctx.Err() == nil {
			cause = err // what stands in the way, rather than that time is up
		}
		switch result {
		case committed:
			return revision, nil
		case refused:
			return 0, v.failed("commit", err)
		case unheard:
			pending = true
		}
		if result == unheard || result == moved {
			revision, settled, err := v.resolve(ctx, c, id, result)
			if settled {
				return revision, err
			}
			if full := shortage.sign(cause, err == nil, time.Now()); full != nil {
				return 0, v.failed("commit", fmt.Errorf("%w: %w", full, store.ErrUnknown))
			}
		}
		if pause(ctx, try) != nil {
			return 0, v.undecided(pending, cause)
		}
	}
}

// resolve asks the leader whose checkpoint is there now. settled says that the
// outcome is definite: it is this commit's, or somebody else's. Otherwise err says
// why the leader did not answer, if it did not.
func (v *view) resolve(ctx context.Context, c projector.Checkpoint, id string, result outcome) (revision uint64, settled bool, err error) {
	now, writer, err := v.checkpoint(ctx, c.Worker)
	switch {
	case err != nil:
		return 0, false, err // the next attempt tells
	case writer == id:
		return now.Revision, true, nil
	case now.Revision > c.Revision, result == moved && now.Revision < c.Revision:
		// Lower than expected: the bucket lost its end, or was made anew.
		fenced := fmt.Errorf("checkpoint has revision %d, expected %d: %w", now.Revision, c.Revision, projector.ErrFenced)
		return 0, true, v.failed("commit", fenced)
	}
	return 0, false, nil
}

func (v *view) undecided(pending bool, cause error) error {
	if pending {
		return v.failed("commit", fmt.Errorf("%w: %w", store.ErrUnknown, cause))
	}
	return v.failed("commit", cause)
}

// batch makes the messages of a commit: the documents, the notes, and the
// checkpoint last, so that what a power cut leaves of a batch never has a
// checkpoint beyond the rest.
func (v *view) batch(id string, w projector.Write) ([]*nats.Msg, error) {
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
	m.Header[commitHeader] = []string{id}
	m.Header[nats.ExpectedLastSubjSeqHdr] = []string{strconv.FormatUint(c.Revision, 10)}
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

// attempt sends the batch once. A checkpoint alone is an ordinary message,
// which costs the server less.
func (v *view) attempt(ctx context.Context, batch []*nats.Msg) (revision uint64, result outcome, cause error) {
	if !v.conn.IsConnected() {
		return 0, notStored, nats.ErrDisconnected // rather than to leave half a batch in the buffer
	}
	if len(batch) > 1 {
		number(batch)
	}
	last := batch[len(batch)-1]
	answer := v.inbox.open(1)
	defer answer.close()
	last.Reply = answer.reply()
	for _, m := range batch {
		if err := v.conn.PublishMsg(m); err != nil {
			return 0, unheard, err
		}
	}
	m, err := answer.next(ctx, commitWait)
	if errors.Is(err, nats.ErrNoResponders) {
		return 0, notStored, err
	}
	if err != nil {
		return 0, unheard, err
	}
	return readAck(m.Data, len(batch))
}

// number makes the messages one batch. Its id is a new one: what the server
// still has of an earlier attempt must not be continued.
func number(batch []*nats.Msg) {
	id := nuid.Next()
	for i, m := range batch {
		m.Header[batchID] = []string{id}
		m.Header[batchSequence] = []string{strconv.Itoa(i + 1)}
	}
	batch[len(batch)-1].Header[batchCommit] = []string{"1"}
}

func readAck(data []byte, size int) (revision uint64, result outcome, cause error) {
	var ack struct {
		Error    *apiError `json:"error"`
		Sequence uint64    `json:"seq"`
		Count    int       `json:"count"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return 0, unheard, fmt.Errorf("unreadable acknowledgement: %w", err)
	}
	switch {
	case ack.Error != nil:
		result, cause = outcomeOf(ack.Error)
		return 0, result, cause
	case ack.Sequence == 0 || size > 1 && ack.Count != size:
		return 0, unheard, fmt.Errorf("unreadable acknowledgement: %.80q", data)
	}
	return ack.Sequence, committed, nil
}

const (
	firstPause = 2 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// pause waits before another try, longer each time and never twice the same.
func pause(ctx context.Context, try int) error {
	wait := lastPause
	if try < 8 {
		wait = min(firstPause<<try, lastPause)
	}
	timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
