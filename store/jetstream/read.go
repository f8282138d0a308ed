package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/annals-go/annals/store"
)

// aheadTries is how often a replicated log is asked again before a head beyond
// its end is reported: a deposed leader may have answered.
const aheadTries = 6

// Read yields the commits after a head as [store.Log] says. It never creates a
// consumer. What the stream's end is, the leader says; then, whatever is least:
//
//   - nothing was added: one request in all;
//   - the last commit follows after: that one is yielded;
//   - some were added: back from the last. Each commit names its predecessor's
//     sequence and hash, so it may come from any replica;
//   - many were added, or few others between them: forward, in batches from any
//     replica, with the leader filling in what that one does not have yet.
//
// With several log streams the commits come from the log stream while the
// places of all of them are remembered, and else from the order; what the order
// does not have yet is waited for.
func (l *Log) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		token, err := store.EncodeToken(id.ID)
		if err == nil {
			err = id.Validate()
		}
		if err != nil {
			yield(nil, err)
			return
		}
		err = l.newReading(id, token, after, yield).run(ctx)
		if errors.Is(err, store.ErrUnavailable) {
			err = fmt.Errorf("read %s: %w", id, err)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped says that whoever reads wants no more.
var errStopped = errors.New("stopped")

// reading is one Read under way.
type reading struct {
	log     *Log
	id      store.StreamID
	subject string
	stream  int        // the log stream of id
	from    *kept      // what is read: the log stream, or the order
	head    store.Head // of what was yielded so far
	next    uint64     // in the order: where to go on
	yield   func(*store.Commit, error) bool

	leaderOnly bool // a replica did not have what it should
	guessed    bool // next is a guess, and nothing was found there yet
}

func (l *Log) newReading(id store.StreamID, token string, after store.Head, yield func(*store.Commit, error) bool) *reading {
	r := &reading{log: l, id: id, subject: l.names.subject(id, token), stream: l.names.streamOf(id), head: after, yield: yield}
	r.from = &l.names.streams[r.stream]
	return r
}

func (r *reading) run(ctx context.Context) error {
	end, err := r.end(ctx)
	if end == nil || err != nil {
		return err
	}
	if err := r.settled(ctx, end); err != nil {
		return err
	}
	err = r.near(ctx, end)
	if errors.Is(err, errForgotten) {
		err = r.last(ctx, end)
	}
	if errors.Is(err, errForgotten) {
		err = r.far(ctx, end)
	}
	return err
}

// settled waits until the order has the end, and until it is durable.
func (r *reading) settled(ctx context.Context, end *message) error {
	place := end.sequence
	if r.log.names.sourced() {
		patience, cancel := context.WithTimeout(ctx, readPatience)
		defer cancel()
		var err error
		place, err = r.log.place(patience, spot{r.stream, r.subject, end.local})
		if errors.Is(err, store.ErrDamaged) {
			return err
		}
		if err != nil && !errors.Is(err, errForgotten) {
			return unavailable(err)
		}
	}
	if err := r.log.durable.wait(ctx, place); err != nil {
		return unavailable(err)
	}
	return nil
}

// near reads from the log stream. errForgotten: a place is not remembered.
func (r *reading) near(ctx context.Context, end *message) error {
	if !r.log.order.covers(r.stream, r.head.Sequence+1) {
		return errForgotten
	}
	if tail, ok := r.walk(ctx, end); ok {
		return r.emitReversed(tail)
	}
	return r.forward(ctx, end)
}

// end returns the stream's last message, or nil if it is the one at the head
// that was asked for.
func (r *reading) end(ctx context.Context) (*message, error) {
	for try := 0; ; try++ {
		began := time.Now()
		end, err := r.log.fetchFirmly(ctx, r.from.leaderGet, lastOn(r.subject))
		if err == nil {
			r.log.step.observe(time.Since(began))
		}
		if errors.Is(err, errNone) {
			end, err = r.confirmNone(ctx)
		}
		if err != nil {
			return nil, err
		}
		if !r.log.names.sourced() {
			r.log.durable.see(end.sequence)
		}
		if end.sequence >= r.head.Sequence {
			return r.joined(end)
		}
		if r.log.replicas < 2 || try == aheadTries {
			return nil, r.ahead(end)
		}
		if err := pause(ctx, try+3); err != nil {
			return nil, unavailable(err)
		}
	}
}

// confirmNone makes sure that a stream without a last message has no messages
// at all: what the server cannot read, it says it does not have. A first commit
// may have come meanwhile, so it is asked for the last one again.
func (r *reading) confirmNone(ctx context.Context) (*message, error) {
	n, err := r.log.count(ctx, r.from, r.subject)
	if n == 0 || err != nil {
		return &message{}, err
	}
	end, err := r.log.fetchFirmly(ctx, r.from.leaderGet, lastOn(r.subject))
	if errors.Is(err, errNone) {
		err = r.damaged(&message{}, "the server does not deliver the last commit")
	}
	return end, err
}

// joined checks the end against the head if both are at the same sequence.
func (r *reading) joined(end *message) (*message, error) {
	switch {
	case end.sequence > r.head.Sequence:
		return end, nil
	case end.sequence == 0 || store.HashOf(end.data) == r.head.Hash:
		return nil, nil
	}
	return nil, &store.DamageError{
		Stream: r.id, Version: r.head.Version, Sequence: r.placeOf(end),
		Reason: "the commit at the head that was asked for is another one",
	}
}

func (r *reading) ahead(end *message) error {
	e := &store.AheadError{What: "reader of " + r.id.String(), Has: store.PositionOf(r.head.Sequence, 0)}
	if c, err := store.DecodeCommit(r.log.cfg.Codec, end.data, end.sequence); err == nil {
		e.Log = c.Last()
	}
	return e
}

// emit yields the next commit of the stream if m is it, and nothing if m comes
// before that.
func (r *reading) emit(m *message) error {
	if m.local <= r.head.Sequence {
		r.next = m.sequence + 1
		return nil // the order was read from further back
	}
	place := r.placeOf(m)
	c, err := store.DecodeNext(r.log.cfg.Codec, m.data, m.local, r.id, r.head)
	if damage := (*store.DamageError)(nil); errors.As(err, &damage) {
		damage.Sequence = place
	}
	if err != nil {
		return err
	}
	if c.After.Sequence != r.head.Sequence {
		return r.damaged(m, "the commit names another sequence for the one before it")
	}
	if place == 0 {
		return errForgotten
	}
	r.next = m.sequence + 1
	return r.deliver(c, place)
}

func (r *reading) deliver(c *store.Commit, place uint64) error {
	c.Sequence = place
	r.head, r.guessed = c.Head(), false
	if !r.yield(c, nil) {
		return errStopped
	}
	return nil
}

// placeOf returns where the order has a message that was read, 0 if that is not
// remembered.
func (r *reading) placeOf(m *message) uint64 {
	if r.from == &r.log.names.order {
		return m.sequence
	}
	if m.place > 0 {
		return m.place
	}
	place, _ := r.log.order.remembered(r.stream, m.local)
	return place
}

func (r *reading) damaged(m *message, reason string) error {
	return &store.DamageError{Stream: r.id, Version: r.head.Version + 1, Sequence: r.placeOf(m), Reason: reason}
}

// damage says where the log is not what was written, when a message cannot be
// read that did not come from a Read: that the version is found by reading its
// stream from the beginning costs nothing that matters any more.
func (l *Log) damage(ctx context.Context, subject string, sequence uint64, cause error) error {
	id := l.names.streamID(subject)
	for _, err := range l.Read(ctx, id, store.Head{}) {
		var found *store.DamageError
		if errors.As(err, &found) && found.Sequence == sequence {
			return found
		}
	}
	return &store.DamageError{Stream: id, Sequence: sequence, Reason: cause.Error()}
}
