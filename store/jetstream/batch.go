package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// batchLen and batchBytes bound one batch of a read: what is in memory at
	// once, and what is lost when a replica falls silent.
	batchLen   = 256
	batchBytes = 4 << 20
)

// errEndOfBatch ends a batch that is complete.
var errEndOfBatch = errors.New("end of batch")

// batch yields what one batch from any replica brings, as far as it joins and
// is not beyond the sequence last.
func (r *reading) batch(ctx context.Context, last uint64) error {
	c := r.log.inbox.open(batchLen + 1)
	defer r.log.inbox.close(c)
	interrupted := r.log.link.interrupted()
	request := batchOn(r.subject, r.head.Sequence+1)
	if err := r.log.cfg.Conn.PublishRequest(r.log.names.directGet, c.reply, request); err != nil {
		return err
	}
	timer := time.NewTimer(requestWait)
	defer timer.Stop()
	for {
		select {
		case answer := <-c.answers:
			if err := r.take(answer, last); err != nil {
				return err
			}
			timer.Reset(requestWait)
		case <-interrupted:
			return nats.ErrDisconnected
		case <-timer.C:
			return nats.ErrTimeout
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take yields one message of a batch.
func (r *reading) take(answer *nats.Msg, last uint64) error {
	if answer.Header.Get(statusHeader) == statusEndOfBatch {
		return errEndOfBatch
	}
	m, err := readDirect(answer)
	if err != nil {
		return err
	}
	if m.sequence > last {
		return fmt.Errorf("sequence %d is beyond the end %d", m.sequence, last)
	}
	return r.emit(m)
}

func batchOn(subject string, from uint64) []byte {
	b := strconv.AppendUint([]byte(`{"seq":`), from, 10)
	b = append(b, `,"next_by_subj":"`...)
	b = append(b, subject...)
	b = append(b, `","batch":`...)
	b = strconv.AppendInt(b, batchLen, 10)
	b = append(b, `,"max_bytes":`...)
	b = strconv.AppendInt(b, batchBytes, 10)
	return append(b, '}')
}
