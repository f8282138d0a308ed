package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// feed is a [store.Feed] on a pull consumer.
//
// It notices a gap by the consumer's own count of deliveries, which must not
// skip a number, and by the log's sequence, which must grow. A delivery that is
// a repetition counts as one, but brings nothing.
type feed struct {
	log      *Log
	consumer string
	named    bool
	after    store.Position
	types    []string // followed; empty: all
	sub      *nats.Subscription
	messages chan *nats.Msg
	lost     <-chan struct{}
	pulls    pulls
	progress progress

	deliveries uint64 // consumer's number of the last delivery
	sequence   uint64 // log's sequence of the last commit taken
	pending    uint64
	passed     bool          // a commit of another type came since the last return
	silent     time.Duration // how long the feed has waited since the server was heard
	ready      []taken       // not yet returned
	failure    error         // what every further Next returns
	closed     bool
}

// taken is a commit that arrived, with how to acknowledge it.
type taken struct {
	commit *store.Commit
	mark   mark
}

func (l *Log) newFeed(f store.Follow) (*feed, error) {
	d := &feed{
		log:      l,
		named:    f.Name != "",
		after:    f.After,
		sequence: max(1, f.After.Sequence()) - 1,
		types:    f.Types,
		messages: make(chan *nats.Msg, feedRoom),
		lost:     l.link.interrupted(),
	}
	conn := l.cfg.Conn
	d.pulls = pulls{publish: conn.PublishRequest, inbox: conn.NewInbox(), group: newGroup()}
	var err error
	d.sub, err = conn.ChanSubscribe(d.pulls.inbox, d.messages)
	return d, err
}

// attach creates the consumer on the server.
func (d *feed) attach(ctx context.Context, f store.Follow) error {
	info, err := d.log.create(ctx, d.log.consumerConfig(f, d.pulls.group))
	if err != nil {
		return err
	}
	d.consumer = info.Name
	d.pending = info.NumPending
	d.pulls.subject, d.pulls.since = d.log.names.pull+info.Name, time.Now()
	return nil
}

// Next implements [store.Feed].
func (d *feed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if limit < 1 {
		return nil, &store.InvalidError{What: "limit of commits", Value: strconv.Itoa(limit), Reason: "want at least 1"}
	}
	if err := d.fill(ctx, limit); err != nil {
		return nil, err
	}
	n := min(limit, len(d.ready))
	if n == 0 {
		return nil, nil // only commits of other types came
	}
	last := d.ready[n-1]
	// What is taken stays ready until it is durable, so that a Next that was
	// cut short loses nothing.
	if err := d.log.durable.wait(ctx, last.commit.Sequence); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, d.fail(err)
	}
	batch := make([]*store.Commit, n)
	for i, t := range d.ready[:n] {
		batch[i] = t.commit
	}
	d.ready = slices.Delete(d.ready, 0, n)
	d.progress.add(last.mark)
	if reply, ok := d.progress.overdue(); ok {
		d.acknowledge(reply)
	}
	return batch, nil
}

// fill waits until something is ready, and then takes what else has arrived.
func (d *feed) fill(ctx context.Context, limit int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for len(d.ready) < limit && d.failure == nil {
		d.refill(limit)
		select {
		case m := <-d.messages:
			d.take(ctx, m)
			continue
		default:
		}
		if len(d.ready) > 0 || d.failure != nil || d.passed && d.pending == 0 {
			break
		}
		if err := d.wait(ctx); err != nil {
			return err
		}
	}
	d.passed = false
	if len(d.ready) == 0 {
		return d.failure
	}
	return nil
}

func (d *feed) refill(limit int) {
	d.failIf(d.pulls.refill(min(max(limit, minPull), maxPull)))
}

// wait waits for one message. The server's silence counts over all waits since
// it was heard last, however short each was.
func (d *feed) wait(ctx context.Context) error {
	began := time.Now()
	timer := time.NewTimer(d.pulls.patience() - d.silent)
	defer timer.Stop()
	select {
	case m := <-d.messages:
		d.take(ctx, m)
		return nil
	case <-d.lost:
		_ = d.fail(nats.ErrDisconnected)
	case <-timer.C:
		d.silent = 0
		d.failIf(d.pulls.missed(errSilent))
	case <-ctx.Done():
		d.silent += time.Since(began)
		return ctx.Err()
	}
	return nil
}

var errSilent = errors.New("the server is silent")

// take adds the commit of a message to what is ready.
func (d *feed) take(ctx context.Context, m *nats.Msg) {
	d.silent = 0
	if m.Reply == "" {
		if err := d.pulls.status(m.Header); err != nil {
			_ = d.fail(err)
		} else if !d.pulls.heard {
			_ = pause(ctx, 4)
		}
		return
	}
	d.pulls.left--
	d.pulls.heard = true
	at, err := readDelivery(m.Reply)
	if err != nil {
		_ = d.fail(err)
		return
	}
	if d.deliveries++; at.number != d.deliveries {
		_ = d.fail(fmt.Errorf("delivery %d came where %d was due: a gap", at.number, d.deliveries))
		return
	}
	if at.sequence <= d.sequence {
		return // delivered again
	}
	if at.sequence != d.sequence+1 {
		// Nothing is ever deleted from the log and the consumer has no filter: the
		// server passes over what it cannot read.
		d.failure = fmt.Errorf("feed: %w: the server does not deliver the commits at sequences %d to %d", store.ErrDamaged, d.sequence+1, at.sequence-1)
		return
	}
	d.sequence, d.pending = at.sequence, at.pending
	if !d.wants(m.Subject) {
		d.passOver(m, at)
		return
	}
	d.add(ctx, m, at)
}

func (d *feed) wants(subject string) bool {
	return len(d.types) == 0 || slices.Contains(d.types, d.log.names.typeOf(subject))
}

// passOver acknowledges a commit of another type when many stand unacknowledged:
// the reader, who gets none of them, cannot.
func (d *feed) passOver(m *nats.Msg, at delivery) {
	d.passed = true
	if at.number-d.progress.acked >= maxUnacknowledged/2 {
		d.progress.acked = at.number
		d.acknowledge(m.Reply)
	}
}

func (d *feed) add(ctx context.Context, m *nats.Msg, at delivery) {
	c, err := store.DecodeCommit(d.log.cfg.Codec, m.Data, at.sequence)
	if err == nil && !d.log.names.holds(m.Subject, c.Stream) {
		err = fmt.Errorf("it holds a commit of %s", c.Stream)
	}
	if err != nil {
		d.failure = d.log.damage(ctx, m.Subject, at.sequence, err)
		return
	}
	if c.Last() > d.after {
		d.ready = append(d.ready, taken{c, mark{c.Last(), m.Reply, at.number}})
	}
}

// fail makes the feed useless, for a reason that following again may heal.
func (d *feed) fail(cause error) error {
	d.failure = fmt.Errorf("feed: %w", unavailable(cause))
	return d.failure
}

func (d *feed) failIf(cause error) {
	if cause != nil {
		_ = d.fail(cause)
	}
}

// Acknowledge implements [store.Feed]. It acknowledges to the server what is at
// or before p, if the feed has a name.
func (d *feed) Acknowledge(p store.Position) {
	if reply, ok := d.progress.acknowledge(p); ok {
		d.acknowledge(reply)
	}
}

func (d *feed) acknowledge(reply string) {
	if d.named {
		_ = d.log.cfg.Conn.Publish(reply, []byte("+ACK"))
	}
}

// Pending implements [store.Feed].
func (d *feed) Pending() uint64 { return d.pending + uint64(len(d.ready)) }

// Close implements [store.Feed]. A consumer with a name stays for operators to
// see how far it came; one without is deleted.
func (d *feed) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	d.failure = fmt.Errorf("feed: %w: closed", store.ErrUnavailable)
	d.ready = nil
	d.unsubscribe()
	if d.named {
		return nil
	}
	return d.deleteConsumer()
}

func (d *feed) deleteConsumer() error {
	js, err := natsjs.New(d.log.cfg.Conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err = js.DeleteConsumer(ctx, d.log.names.stream, d.consumer)
	if err == nil || errors.Is(err, natsjs.ErrConsumerNotFound) || d.log.cfg.Conn.IsClosed() {
		return nil
	}
	return fmt.Errorf("close feed: %w", unavailable(err))
}

func (d *feed) unsubscribe() { _ = d.sub.Unsubscribe() }
