package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
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
	for r.head.Sequence < end.local {
		before, next := r.head, r.next
		if err := r.batch(ctx, end.local); errors.Is(err, errStopped) || errors.Is(err, errForgotten) {
			return err
		}
		if r.head != before || r.next > next && r.from == &r.log.names.order {
			continue
		}
		for n := 0; n < stepLen && r.head.Sequence < end.local; n++ {
			if err := r.step(ctx, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// step yields the one next commit, as the leader has it.
func (r *reading) step(ctx context.Context, end *message) error {
	m, err := r.log.fetchFirmly(ctx, r.from.leaderGet, nextOn(r.subject, r.start()))
	switch {
	case errors.Is(err, errNone):
		return r.missing(end)
	case err != nil:
		return err
	case m.local > end.local:
		return r.overtaken(ctx, end)
	}
	if before, gap := r.gapBefore(m); gap {
		return r.readArchived(ctx, before, m)
	}
	return r.emit(m)
}

// start returns from which sequence on the next commit is looked for.
func (r *reading) start() uint64 {
	if r.from == &r.log.names.order {
		return r.next
	}
	return r.head.Sequence + 1
}

// missing says that what must be there is not. In the log stream it was when the
// read began; in the order it was looked for in the wrong place, or asked for
// where it has not arrived.
func (r *reading) missing(end *message) error {
	if r.from == &r.log.names.order {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, errNotThere)
	}
	return r.damaged(end, "the log no longer holds what it held when the read began")
}

// batch yields what one batch from any replica brings, as far as it joins and
// is not beyond last in its log stream.
func (r *reading) batch(ctx context.Context, last uint64) error {
	c := r.log.inbox.openFor(batchLen + 1)
	defer r.log.inbox.close(c)
	request := batchOn(r.subject, r.start())
	if err := r.log.cfg.Conn.PublishRequest(r.from.directGet, c.reply, request); err != nil {
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
	m, err := readDirect(answer, r.log.names.sources(r.from.directGet))
	if err != nil {
		return err
	}
	if m.local > last {
		return fmt.Errorf("sequence %d is beyond the end %d", m.local, last)
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
