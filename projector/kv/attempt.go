package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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

// storeOnce sends the batch until its outcome is definite, and returns the
// revision of its last message, which carries id. Each attempt expects of that
// message's subject the revision given, so one of them at most is stored, however
// late a lost one comes through.
func (b *bucket) storeOnce(ctx context.Context, expected uint64, id string, batch []*nats.Msg) (uint64, error) {
	last := batch[len(batch)-1]
	last.Header[commitHeader] = []string{id}
	last.Header[nats.ExpectedLastSubjSeqHdr] = []string{strconv.FormatUint(expected, 10)}
	pending := false // an attempt may be stored
	var shortage shortage
	var cause error
	for try := 0; ; try++ {
		revision, result, err := b.attempt(ctx, batch)
		if cause == nil || ctx.Err() == nil {
			cause = err // what stands in the way, rather than that time is up
		}
		switch result {
		case committed:
			return revision, nil
		case refused:
			return 0, b.failed("commit", err)
		case unheard:
			pending = true
		case notStored:
			if errors.Is(err, nats.ErrNoResponders) && b.dropped(ctx) {
				return 0, b.failed("commit", fmt.Errorf("the bucket was dropped: %w", projector.ErrFenced))
			}
		}
		if result == unheard || result == moved {
			revision, settled, err := b.resolve(ctx, last.Subject, expected, id, result)
			if settled {
				return revision, err
			}
			if full := shortage.sign(cause, err == nil, time.Now()); full != nil {
				return 0, b.failed("commit", fmt.Errorf("%w: %w", full, store.ErrUnknown))
			}
		}
		if pause(ctx, try) != nil {
			return 0, b.undecided(pending, cause)
		}
	}
}

// resolve asks the leader whose write of the subject is the last now. settled
// says that the outcome is definite: it is this one, or somebody else's. Otherwise
// err says why the leader did not answer, if it did not.
func (b *bucket) resolve(ctx context.Context, subject string, expected uint64, id string, result outcome) (revision uint64, settled bool, err error) {
	m, err := b.fromLeader(ctx, getRequest{Last: subject})
	if err != nil {
		return 0, false, err // the next attempt tells
	}
	var now uint64
	if m != nil {
		now = m.sequence
	}
	switch {
	case m != nil && m.header.Get(commitHeader) == id:
		return now, true, nil
	case now > expected, result == moved && now < expected:
		// Lower than expected: the bucket lost its end, or was made anew.
		fenced := fmt.Errorf("%s has revision %d, expected %d: %w", strings.TrimPrefix(subject, b.at.prefix), now, expected, projector.ErrFenced)
		return 0, true, b.failed("commit", fenced)
	}
	return 0, false, nil
}

// dropped reports whether the bucket is known to be gone.
func (b *bucket) dropped(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	_, err := b.js.Stream(ctx, b.at.stream)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

func (b *bucket) undecided(pending bool, cause error) error {
	if pending {
		return b.failed("commit", fmt.Errorf("%w: %w", store.ErrUnknown, cause))
	}
	return b.failed("commit", cause)
}

// attempt sends the batch once. A checkpoint alone is an ordinary message,
// which costs the server less.
func (b *bucket) attempt(ctx context.Context, batch []*nats.Msg) (revision uint64, result outcome, cause error) {
	if !b.conn.IsConnected() {
		return 0, notStored, nats.ErrDisconnected // rather than to leave half a batch in the buffer
	}
	if len(batch) > 1 {
		number(batch)
	}
	last := batch[len(batch)-1]
	answer := b.inbox.open(1)
	defer answer.close()
	last.Reply = answer.reply()
	for _, m := range batch {
		if err := b.conn.PublishMsg(m); err != nil {
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
