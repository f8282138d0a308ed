package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// line is what a pull consumer of the order delivers: every message from where
// it begins, in order, or an error. It belongs to one goroutine.
//
// It notices a gap by the consumer's own count of deliveries, which must not
// skip a number. Where the order's sequence grows by more than one, the log was
// truncated, or the server cannot read what it holds: the message is held until
// whoever reads has taken what lies between from the archive. A delivery that is
// a repetition counts as one, but brings nothing.
type line struct {
	log      *Log
	consumer string
	sub      *nats.Subscription
	messages chan *nats.Msg
	lost     <-chan struct{}
	pulls    pulls

	held       *held         // what came beyond the next sequence
	deliveries uint64        // consumer's number of the last delivery
	sequence   uint64        // of the last message taken
	pending    uint64        // how many were to come after it
	silent     time.Duration // how long the line has waited since the server was heard
}

// newLine returns a line that begins with the message at a sequence, and whose
// server says so often that it is there.
func (l *Log) newLine(first uint64, beat time.Duration) (line, error) {
	d := line{log: l, sequence: first - 1, messages: make(chan *nats.Msg, feedRoom), lost: l.link.interrupted()}
	conn := l.cfg.Conn
	d.pulls = pulls{publish: conn.PublishRequest, inbox: conn.NewInbox(), group: newGroup(), beat: beat}
	var err error
	d.sub, err = conn.ChanSubscribe(d.pulls.inbox, d.messages)
	return d, err
}

// attach creates the consumer on the server.
func (d *line) attach(ctx context.Context, config natsjs.ConsumerConfig) error {
	info, err := d.log.create(ctx, config)
	if err != nil {
		return err
	}
	d.consumer, d.pending = info.Name, info.NumPending
	d.pulls.subject, d.pulls.since = d.log.names.order.pull+info.Name, time.Now()
	return nil
}

// refill asks for more if little is to come. It is called before each wait.
func (d *line) refill(limit int) error {
	return d.pulls.refill(min(max(limit, minPull), maxPull))
}

// arrived returns a message that is there already, or nil.
func (d *line) arrived() *nats.Msg {
	select {
	case m := <-d.messages:
		return m
	default:
		return nil
	}
}

// wait waits for one message; it may return none. The server's silence counts
// over all waits since it was heard last, however short each was.
func (d *line) wait(ctx context.Context) (*nats.Msg, error) {
	began := time.Now()
	timer := time.NewTimer(d.pulls.patience() - d.silent)
	defer timer.Stop()
	select {
	case m := <-d.messages:
		return m, nil
	case <-d.lost:
		return nil, nats.ErrDisconnected
	case <-timer.C:
		d.silent = 0
		return nil, d.pulls.missed(errSilent)
	case <-ctx.Done():
		d.silent += time.Since(began)
		return nil, ctx.Err()
	}
}

var errSilent = errors.New("the server is silent")

// receive takes a message. It is not fresh if it is only a word of the server,
// or came before.
func (d *line) receive(ctx context.Context, m *nats.Msg) (at delivery, fresh bool, err error) {
	d.silent = 0
	if m.Reply == "" {
		if err := d.pulls.status(m.Header); err != nil {
			return at, false, err
		}
		if !d.pulls.heard {
			_ = pause(ctx, 4)
		}
		return at, false, nil
	}
	d.pulls.left--
	d.pulls.heard = true
	if at, err = readDelivery(m.Reply); err != nil {
		return at, false, err
	}
	if d.deliveries++; at.number != d.deliveries {
		return at, false, fmt.Errorf("delivery %d came where %d was due: a gap", at.number, d.deliveries)
	}
	if at.sequence <= d.sequence {
		return at, false, nil // delivered again
	}
	if at.sequence != d.sequence+1 {
		d.held = &held{m, at}
		return at, false, nil
	}
	d.sequence, d.pending = at.sequence, at.pending
	return at, true, nil
}

func (d *line) unsubscribe() { _ = d.sub.Unsubscribe() }

// deleteConsumer removes the consumer from the server. It need not be there.
func (d *line) deleteConsumer() error {
	js, err := natsjs.New(d.log.cfg.Conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err = js.DeleteConsumer(ctx, d.log.names.order.name, d.consumer)
	if err == nil || errors.Is(err, natsjs.ErrConsumerNotFound) || d.log.cfg.Conn.IsClosed() {
		return nil
	}
	return unavailable(err)
}
