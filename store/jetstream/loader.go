package jetstream

import (
	"context"
	"fmt"
	"strconv"

	"github.com/annals-go/annals/store"
)

// Loader writes commits into a namespace at places that are given: a history that
// was decided elsewhere. It belongs to one goroutine. An error is final, but for
// that of a commit that was refused before anything was sent.
//
// Each commit is published under the expectation that its log stream ends right
// before its place there, so it is stored there or not at all, however often it is
// sent; and under that of its stream, which readers go by. Of several log streams
// one is written at a time, and the next one only when the order has all of it: so
// the order, which the server makes, is the one in which the commits were given.
type Loader struct {
	log     *Log
	lanes   []lane    // one for each log stream
	at      int       // the log stream of the window
	window  []loading // in flight, in order
	bytes   int       // of the window
	last    spot      // of the last that was given; none once the order has it
	end     uint64    // in the order
	failure error
}

// lane is a log stream that is loaded.
type lane struct {
	call *call
	end  uint64 // of what was given or found
}

// Loader returns a loader that goes on after what the namespace holds. The log
// must have been opened with [Config] FilledFrom, and nobody else may write to it.
func (l *Log) Loader(ctx context.Context) (*Loader, error) {
	if l.cfg.FilledFrom == "" {
		return nil, &store.InvalidError{What: "namespace to fill", Value: l.cfg.Namespace, Reason: "it was not opened to be filled"}
	}
	d := &Loader{log: l, lanes: make([]lane, len(l.names.streams))}
	if err := d.find(ctx); err != nil {
		return nil, fmt.Errorf("load %s: %w", l.cfg.Namespace, err)
	}
	for i := range d.lanes {
		d.lanes[i].call = l.inbox.openFor(2 * loadWindow)
	}
	return d, nil
}

// End returns the sequence of the last commit that the loader was given or found.
func (d *Loader) End() uint64 { return d.end }

// Load stores a commit at the place that its Sequence and Local name, which must be
// the next. It returns before the commit is stored: see Flush. c is not kept. Errors:
//   - [store.ErrInvalid]: it is not the next, or cannot be stored here.
//   - [store.ErrDamaged]: its bytes are not those that its hash is of; or the server
//     put something else in the order.
//   - [store.ErrConflict]: somebody else writes to the namespace.
//   - [store.ErrUnavailable], or ctx's error.
func (d *Loader) Load(ctx context.Context, c *store.Commit) error {
	if c.Sequence != d.end+1 {
		return misplaced(c.Sequence, "the next is %d", d.end+1)
	}
	stream := d.log.names.streamOf(c.Stream)
	if next := d.lanes[stream].end + 1; c.Local != next {
		return misplaced(c.Local, "the next of log stream %d is %d: it comes from a namespace with other partitions or log streams", stream, next)
	}
	m, err := d.log.message(c)
	if err != nil {
		return err
	}
	if got := store.HashOf(m.Data); got != c.Hash {
		reason := fmt.Sprintf("its bytes have the hash %s, it has %s", got, c.Hash)
		return &store.DamageError{Stream: c.Stream, Version: c.After.Version + 1, Sequence: c.Sequence, Reason: reason}
	}
	return d.send(ctx, stream, m)
}

func misplaced(at uint64, why string, v ...any) error {
	return &store.InvalidError{What: "place of a commit", Value: strconv.FormatUint(at, 10), Reason: fmt.Sprintf(why, v...)}
}

// Place stores a commit at the next place, sets its Sequence, Local and Hash, and
// returns the head that its stream then has: known before it is stored. That c
// follows the stream's head is the caller's to know. Errors are those of Load.
func (d *Loader) Place(ctx context.Context, c *store.Commit) (store.Head, error) {
	m, err := d.log.message(c)
	if err != nil {
		return store.Head{}, err
	}
	stream := d.log.names.streamOf(c.Stream)
	if err := d.send(ctx, stream, m); err != nil {
		return store.Head{}, err
	}
	c.Sequence, c.Local, c.Hash = d.end, d.lanes[stream].end, store.HashOf(m.Data)
	return c.Head(), nil
}

// Flush returns when all that the loader was given is stored, and durable as far
// as the log makes it so.
func (d *Loader) Flush(ctx context.Context) error {
	if err := d.arrive(ctx); err != nil {
		return err
	}
	if err := d.log.durable.wait(ctx, d.end); err != nil {
		return d.fail(fmt.Errorf("wait for the disk: %w", err))
	}
	return nil
}

// Close ends what the loader has open. What was not flushed may be stored or not.
func (d *Loader) Close() {
	for i := range d.lanes {
		if call := d.lanes[i].call; call != nil {
			d.log.inbox.close(call)
			d.lanes[i].call = nil
		}
	}
	d.failure = d.fail(errClosed)
}

// fail ends the loader, unless something has, and returns what did.
func (d *Loader) fail(cause error) error {
	if d.failure == nil {
		d.failure = fmt.Errorf("load %s: %w", d.log.cfg.Namespace, cause)
	}
	return d.failure
}

// conflict says that the log holds at a sequence what the loader did not write.
func (d *Loader) conflict(sequence uint64) {
	_ = d.fail(fmt.Errorf("%w: somebody else wrote to the namespace, at sequence %d", store.ErrConflict, sequence))
}
