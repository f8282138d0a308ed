package jetstream

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// feed is a [store.Feed] on a pull consumer.
type feed struct {
	line
	named    bool
	after    store.Position
	types    []string // followed; empty: all
	progress progress
	lineage  lineage // of a sourced order

	end     uint64  // of the log when the feed began
	passed  bool    // a commit of another type came since the last return
	ready   []taken // not yet returned
	failure error   // what every further Next returns
	closed  bool
}

// taken is a commit that arrived, with how to acknowledge it.
type taken struct {
	commit *store.Commit
	mark   mark
}

// newFeed returns a feed that has no consumer yet.
func (l *Log) newFeed(f store.Follow) (*feed, error) {
	first := max(1, f.After.Sequence())
	d := &feed{named: f.Name != "", after: f.After, types: f.Types, lineage: newLineage(&l.names, first)}
	var err error
	d.line, err = l.newLine(first, heartbeat)
	return d, err
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
	if last.mark.reply != "" {
		d.progress.add(last.mark)
	}
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
		d.failIf(d.refill(limit))
		if d.held != nil {
			if err := d.bridge(ctx, limit); err != nil {
				return err
			}
			continue
		}
		if m := d.arrived(); m != nil {
			d.take(ctx, m)
			continue
		}
		if len(d.ready) > 0 || d.failure != nil || d.passed && d.pending == 0 {
			break
		}
		m, err := d.wait(ctx)
		switch {
		case m != nil:
			d.take(ctx, m)
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		default:
			d.failIf(err)
		}
	}
	d.passed = false
	if len(d.ready) == 0 {
		return d.failure
	}
	return nil
}

// take adds the commit of a message to what is ready.
func (d *feed) take(ctx context.Context, m *nats.Msg) {
	at, fresh, err := d.receive(ctx, m)
	switch {
	case err != nil:
		_ = d.fail(err)
	case fresh:
		d.sort(ctx, m, at)
	}
}

// sort takes the message that is next.
func (d *feed) sort(ctx context.Context, m *nats.Msg, at delivery) {
	local := at.sequence
	if d.log.names.sourced() {
		var err error
		if _, local, err = d.lineage.take(at.sequence, m.Header.Get(sourceHeader)); err != nil {
			d.failure = fmt.Errorf("feed: %w", err)
			return
		}
	}
	if !d.wants(d.log.names.typeOf(m.Subject)) {
		d.passOver(m, at)
		return
	}
	d.add(ctx, m, at, local)
}

func (d *feed) wants(aggregate string) bool {
	return len(d.types) == 0 || slices.Contains(d.types, aggregate)
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

// add takes a commit that its log stream has at local.
func (d *feed) add(ctx context.Context, m *nats.Msg, at delivery, local uint64) {
	c, err := d.log.decode(m.Data, at.sequence, local)
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
// The server does not count what was truncated; what lay between the feed and the
// log's end when it began is known besides.
func (d *feed) Pending() uint64 {
	pending := d.pending
	if d.held != nil {
		pending = d.held.at.pending + d.held.at.sequence - d.sequence
	}
	if d.end > d.sequence {
		pending = max(pending, d.end-d.sequence)
	}
	return pending + uint64(len(d.ready))
}

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
	if err := d.deleteConsumer(); err != nil {
		return fmt.Errorf("close feed: %w", err)
	}
	return nil
}
