package actor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// reading is what a read takes away from its turn. The turn fills it before it
// replies.
type reading struct {
	checked bool      // compare with the log first
	data    []byte    // the encoded state
	time    time.Time // of the last commit folded into it
}

// Read returns the state of the live actor, which is activated if need be, in
// its turn: after everything that was queued before, and never a state that is
// not stored. With leases it is answered under a valid one.
//
// A linearizable read does not rest on this machine's clock. With leases the
// holding is confirmed first, and the state is taken in a turn after that: it
// is at least as new as any answer that anybody had got when Read was called.
// Without leases the state is compared with the end of the log.
//
// Errors: [store.ErrNotFound] for a stream without events, [ErrMoved],
// [ErrBusy], [ErrDeadline] when ctx ends, and those of [System.State].
func (s *System) Read(ctx context.Context, stream store.StreamID, linearizable bool) (State, error) {
	k, err := s.kindOf(stream)
	if err != nil {
		return State{}, err
	}
	if err := stream.Validate(); err != nil {
		return State{}, err
	}
	r := &request{command: Command{Stream: stream}, partition: stream.Partition(len(s.table)), reading: &reading{}}
	r.deadline, _ = ctx.Deadline()
	if linearizable && s.config.Leases != nil {
		if err := s.confirmHeld(ctx, r.partition); err != nil {
			return State{}, err
		}
	}
	r.reading.checked = linearizable && s.config.Leases == nil
	result, err := s.await(ctx, r)
	if err != nil {
		return State{}, err
	}
	return s.stateOf(k, r, result)
}

// stateOf decodes what was read, in the reader's goroutine.
func (s *System) stateOf(k *registered, r *request, at Result) (State, error) {
	stream := r.command.Stream
	own := k.newInstance()
	if err := own.decode(r.reading.data); err != nil {
		return State{}, fmt.Errorf("%w: decode the state of %s: %s", ErrInternal, stream, k.withheld(err).Error())
	}
	return State{Stream: stream, Version: at.Version, Position: at.Position, Time: r.reading.time, Value: own.value()}, nil
}

// copyState notes the state as the next command would find it: Evolve may
// change it in place. Reads that follow each other share the bytes.
func (s *System) copyState(a *actor, t *draft, r *request) error {
	if version := t.version(); t.copied == nil || t.copiedAt != version {
		data, err := a.live.instance.encode()
		if err := s.reportPanic(named(err, a.stream, "")); err != nil {
			return fmt.Errorf("%w: encode the state of %s: %s", ErrInternal, a.stream, a.kind.withheld(err).Error())
		}
		t.copied, t.copiedAt = data, version
	}
	r.reading.data = t.copied
	return nil
}

// unread turns the error of a draft into the one of a read, which stores
// nothing and so knows no other outcome.
func unread(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, err.Error())
}
