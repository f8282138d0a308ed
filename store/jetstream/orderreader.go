package jetstream

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// orderReader reads the headers of the order and notes where each message of
// the log streams has its place.
type orderReader struct {
	order   *order
	next    uint64 // place to be read next; 0 before the first
	lineage lineage
}

// read reads until ctx ends, on a new consumer whenever the last one is lost. It
// returns an error only if the order is damaged; of several servers another may
// have what one cannot read.
func (o *order) read(ctx context.Context) error {
	r := &orderReader{order: o}
	for try := 0; ctx.Err() == nil; try++ {
		before := r.next
		err := r.follow(ctx)
		if errors.Is(err, store.ErrDamaged) && (o.log.replicas < 2 || try >= aheadTries) {
			return err
		}
		if ctx.Err() == nil {
			o.log.cfg.Logger.Debug("reader of the total order begins again", "at", r.next, "err", err)
		}
		if r.next != before {
			try = 0
		}
		_ = pause(ctx, try)
	}
	return nil
}

// follow reads on until the consumer is lost.
func (r *orderReader) follow(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	d, err := r.order.log.newLine(r.next, readerBeat)
	if err != nil {
		return err
	}
	defer d.unsubscribe()
	if err := d.attach(ctx, r.order.log.readerConfig(r.next, d.pulls.group)); err != nil {
		return err
	}
	defer func() { _ = d.deleteConsumer() }()
	for {
		if err := r.take(ctx, &d); err != nil {
			return err
		}
	}
}

// begin finds out where to begin, the first time.
func (r *orderReader) begin(ctx context.Context) error {
	if r.next > 0 {
		return nil
	}
	end, err := r.order.log.lastSequence(ctx)
	if err != nil {
		return err
	}
	r.next = 1
	if end > r.order.warm {
		r.next = end + 1 - r.order.warm
	}
	r.lineage = newLineage(&r.order.log.names, r.next)
	return nil
}

// readerConfig is the consumer of the reader: it leaves no trace, and brings no
// data.
func (l *Log) readerConfig(first uint64, group string) natsjs.ConsumerConfig {
	c := l.consumerConfig(store.Follow{After: store.PositionOf(first, 0)}, group)
	c.Description = "Annals: the places of " + l.cfg.Namespace
	c.HeadersOnly = true
	return c
}

// take waits for one message and notes its place.
func (r *orderReader) take(ctx context.Context, d *line) error {
	if d.held != nil {
		return r.bridge(ctx, d)
	}
	if err := d.refill(maxPull); err != nil {
		return err
	}
	m := d.arrived()
	if m == nil {
		var err error
		if m, err = d.wait(ctx); m == nil {
			return err
		}
	}
	at, fresh, err := d.receive(ctx, m)
	if err != nil || !fresh {
		return err
	}
	return r.note(at, m)
}

func (r *orderReader) note(at delivery, m *nats.Msg) error {
	stream, local, err := r.lineage.take(at.sequence, m.Header.Get(sourceHeader))
	if err == nil {
		r.place(at.sequence, stream, local)
	}
	return err
}

// bridge notes the places of what was truncated, and then that of the message
// that is held. Without the archive it forgets what came before and begins anew.
func (r *orderReader) bridge(ctx context.Context, d *line) error {
	log := r.order.log
	err := d.readArchived(ctx, func(c *store.Commit) error {
		stream := log.names.streamOf(c.Stream)
		if err := r.lineage.count(c.Sequence, stream, c.Local); err != nil {
			return err
		}
		r.place(c.Sequence, stream, c.Local)
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrArchived) {
		return err
	}
	m, at := d.release()
	if err != nil {
		r.lineage = newLineage(&log.names, at.sequence)
		for i := range r.order.streams {
			r.order.streams[i].forget()
		}
	}
	return r.note(at, m)
}

func (r *orderReader) place(place uint64, stream int, local uint64) {
	r.next = place + 1
	r.order.log.durable.see(place)
	r.order.streams[stream].add(local, place)
}
