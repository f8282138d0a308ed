package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

const (
	// loadWindow and loadWindowBytes bound what a loader has sent and not seen
	// acknowledged: enough to keep a server busy over a round trip of some
	// milliseconds.
	loadWindow      = 1024
	loadWindowBytes = 8 << 20
	// loadWait is how long a loader waits for the next acknowledgement before it
	// looks what is stored; loadPatience how long it does so without any progress.
	loadWait     = 5 * time.Second
	loadPatience = 30 * time.Second
)

// Loader writes commits into a namespace at places that are given: a history that
// was decided elsewhere. It belongs to one goroutine. An error is final, but for
// that of a commit that was refused before anything was sent.
//
// Each commit is published under the expectation that the log ends right before
// its place, so it is stored there or not at all, however often it is sent; and
// under that of its stream, which readers go by.
type Loader struct {
	log     *Log
	call    *call
	window  []loading // in flight, in order
	bytes   int       // of the window
	end     uint64
	failure error
}

// loading is a commit that was sent.
type loading struct {
	sequence uint64
	message  *nats.Msg
}

// Loader returns a loader that goes on after what the namespace holds. The log
// must have been opened with [Config] FilledFrom, and nobody else may write to it.
// A namespace of several log streams cannot be loaded: [store.ErrInvalid].
func (l *Log) Loader(ctx context.Context) (*Loader, error) {
	reason := ""
	switch {
	case l.cfg.FilledFrom == "":
		reason = "it was not opened to be filled"
	case l.names.sourced():
		reason = "it has several log streams, whose common order cannot be given; load into one with --log-streams 1"
	}
	if reason != "" {
		return nil, &store.InvalidError{What: "namespace to fill", Value: l.cfg.Namespace, Reason: reason}
	}
	end, err := l.lastSequence(ctx)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", l.cfg.Namespace, unavailable(err))
	}
	return &Loader{log: l, call: l.inbox.openFor(2 * loadWindow), end: end}, nil
}

// End returns the sequence of the last commit that the loader was given or found.
func (d *Loader) End() uint64 { return d.end }

// Load stores a commit at the place that its Sequence names, which must be the
// next. It returns before the commit is stored: see Flush. c is not kept. Errors:
//   - [store.ErrInvalid]: it is not the next, or cannot be stored here.
//   - [store.ErrDamaged]: its bytes are not those that its hash is of.
//   - [store.ErrConflict]: somebody else writes to the namespace.
//   - [store.ErrUnavailable], or ctx's error.
func (d *Loader) Load(ctx context.Context, c *store.Commit) error {
	if c.Sequence != d.end+1 || c.Local != c.Sequence {
		return &store.InvalidError{What: "place of a commit", Value: strconv.FormatUint(c.Sequence, 10), Reason: fmt.Sprintf("the next is %d", d.end+1)}
	}
	m, err := d.log.message(c)
	if err != nil {
		return err
	}
	if got := store.HashOf(m.Data); got != c.Hash {
		reason := fmt.Sprintf("its bytes have the hash %s, it has %s", got, c.Hash)
		return &store.DamageError{Stream: c.Stream, Version: c.After.Version + 1, Sequence: c.Sequence, Reason: reason}
	}
	return d.send(ctx, m)
}

// Place stores a commit at the next place, sets its Sequence, Local and Hash, and
// returns the head that its stream then has: known before it is stored. That c
// follows the stream's head is the caller's to know. Errors are those of Load.
func (d *Loader) Place(ctx context.Context, c *store.Commit) (store.Head, error) {
	m, err := d.log.message(c)
	if err != nil {
		return store.Head{}, err
	}
	if err := d.send(ctx, m); err != nil {
		return store.Head{}, err
	}
	c.Sequence, c.Local, c.Hash = d.end, d.end, store.HashOf(m.Data)
	return c.Head(), nil
}

// Flush returns when all that the loader was given is stored, and durable as far
// as the log makes it so.
func (d *Loader) Flush(ctx context.Context) error {
	for d.failure == nil && len(d.window) > 0 {
		d.settle(ctx)
	}
	if d.failure != nil {
		return d.failure
	}
	if err := d.log.durable.wait(ctx, d.end); err != nil {
		return d.fail(fmt.Errorf("wait for the disk: %w", err))
	}
	return nil
}

// Close ends what the loader has open. What was not flushed may be stored or not.
func (d *Loader) Close() {
	if d.call != nil {
		d.log.inbox.close(d.call)
		d.call, d.failure = nil, d.fail(errClosed)
	}
}

func (d *Loader) send(ctx context.Context, m *nats.Msg) error {
	for d.failure == nil && d.full(m) {
		d.settle(ctx)
	}
	if d.failure != nil {
		return d.failure
	}
	m.Header.Set(nats.ExpectedLastSeqHdr, strconv.FormatUint(d.end, 10))
	m.Reply = d.call.reply
	d.end++
	d.window = append(d.window, loading{d.end, m})
	d.bytes += len(m.Data)
	if err := d.log.send(m); err != nil {
		d.recover(ctx, err)
	}
	return d.failure
}

// full reports whether the message has to wait. A replicated stream takes no two
// messages of one subject at a time under an expectation.
func (d *Loader) full(m *nats.Msg) bool {
	if len(d.window) >= loadWindow || len(d.window) > 0 && d.bytes+len(m.Data) > loadWindowBytes {
		return true
	}
	return d.log.replicas > 1 && slices.ContainsFunc(d.window, func(w loading) bool { return w.message.Subject == m.Subject })
}

// settle waits for one acknowledgement.
func (d *Loader) settle(ctx context.Context) {
	m, err := d.call.wait(ctx, loadWait)
	if err != nil {
		d.recover(ctx, err)
		return
	}
	got := readAnswer(m)
	switch {
	case got.verdict == refused:
		_ = d.fail(got.reason)
	case got.verdict != stored:
		d.recover(ctx, got.reason)
	case got.sequence < d.window[0].sequence:
		// The answer to an earlier try of what is settled.
	case got.sequence > d.end:
		d.conflict(got.sequence)
	default:
		d.drop(got.sequence)
	}
}

// drop takes what is stored, up to a sequence, out of the window: each was stored
// only if the one before it was.
func (d *Loader) drop(sequence uint64) {
	n := 0
	for ; n < len(d.window) && d.window[n].sequence <= sequence; n++ {
		d.bytes -= len(d.window[n].message.Data)
	}
	d.window = slices.Delete(d.window, 0, n)
	d.log.durable.see(sequence)
}

// recover looks what is stored of the window after something went wrong, and
// sends the rest again, one by one: every message names its place, so one that
// was sent before and arrives late changes nothing.
func (d *Loader) recover(ctx context.Context, cause error) {
	d.log.inbox.close(d.call) // answers to what was sent so far are of no use
	d.call = d.log.inbox.openFor(2 * loadWindow)
	deadline := time.Now().Add(loadPatience)
	for try := 0; d.failure == nil && len(d.window) > 0; try++ {
		before := len(d.window)
		d.look(ctx)
		if d.failure != nil || len(d.window) == 0 {
			return
		}
		if err := d.again(ctx); err != nil {
			cause = err
		}
		if len(d.window) < before {
			try, deadline = 0, time.Now().Add(loadPatience)
			continue
		}
		if err := pause(ctx, try); err != nil || time.Now().After(deadline) {
			_ = d.fail(unavailable(errors.Join(err, cause)))
		}
	}
}

// look drops what the stream's leader has of the window.
func (d *Loader) look(ctx context.Context) {
	first := d.window[0].sequence
	end, err := d.log.lastSequence(ctx)
	switch {
	case err != nil:
		_ = d.fail(err)
		return
	case end < first:
		return
	case end > d.end:
		d.conflict(end)
		return
	}
	m, err := d.log.fetchFirmly(ctx, d.log.names.order.leaderGet, at(end))
	switch {
	case err != nil:
		_ = d.fail(unavailable(err))
	case !bytes.Equal(m.data, d.window[end-first].message.Data):
		d.conflict(end)
	default:
		d.drop(end)
	}
}

// again sends the first message of the window once more and waits for what comes
// of it.
func (d *Loader) again(ctx context.Context) error {
	m := d.window[0].message
	m.Reply = d.call.reply
	if err := d.log.send(m); err != nil {
		return err
	}
	answered, err := d.call.wait(ctx, loadWait)
	if err != nil {
		return err
	}
	got := readAnswer(answered)
	switch got.verdict {
	case stored:
		d.drop(min(got.sequence, d.end))
	case refused:
		_ = d.fail(got.reason)
	}
	return got.reason
}

// conflict says that the log holds at a sequence what the loader did not write.
func (d *Loader) conflict(sequence uint64) {
	_ = d.fail(fmt.Errorf("%w: somebody else wrote to the namespace, at sequence %d", store.ErrConflict, sequence))
}

func (d *Loader) fail(cause error) error {
	if d.failure == nil {
		d.failure = fmt.Errorf("load %s: %w", d.log.cfg.Namespace, cause)
	}
	return d.failure
}
