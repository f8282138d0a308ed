package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

const (
	// batchLen and batchBytes bound one batch of a read: what is in memory at
	// once, and what is lost when a replica falls silent.
	batchLen   = 256
	batchBytes = 4 << 20
	// stepLen is how many commits come from the leader before a batch is tried
	// again.
	stepLen = 64
)

// errEndOfBatch ends a batch that is complete.
var errEndOfBatch = errors.New("end of batch")

// forward yields from the head to the end in batches. A batch that does not
// join is not trusted: the replica may be behind. Then the leader is asked for
// the next commits, one by one, and only its word counts as damage.
func (r *reading) forward(ctx context.Context, end *message) error {
	for r.head.Sequence < end.sequence {
		before := r.head
		if err := r.batch(ctx, end.sequence); errors.Is(err, errStopped) {
			return err
		}
		if r.head != before {
			continue
		}
		for n := 0; n < stepLen && r.head.Sequence < end.sequence; n++ {
			if err := r.step(ctx, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// step yields the one next commit, as the leader has it.
func (r *reading) step(ctx context.Context, end *message) error {
	m, err := r.log.fetchFirmly(ctx, nextOn(r.subject, r.head.Sequence+1))
	if errors.Is(err, errNone) || err == nil && m.sequence > end.sequence {
		return r.damaged(end.sequence, "the log no longer holds what it held when the read began")
	}
	if err != nil {
		return err
	}
	return r.emit(m)
}

// batch yields what one batch from any replica brings, as far as it joins and
// is not beyond the sequence last.
func (r *reading) batch(ctx context.Context, last uint64) error {
	c := r.log.inbox.openFor(batchLen + 1)
	defer r.log.inbox.close(c)
	request := batchOn(r.subject, r.head.Sequence+1)
	if err := r.log.cfg.Conn.PublishRequest(r.log.names.directGet, c.reply, request); err != nil {
		return err
	}
	for {
		answer, err := c.wait(ctx, requestWait)
		if err == nil {
			err = r.take(answer, last)
		}
		if err != nil {
			return err
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
