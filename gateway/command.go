package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// handleCommand takes a command in. It runs on the subscription's goroutine
// and waits for nothing: the answer comes from the actor.
//
// A command without a reply subject is carried out: who asks for no answer
// gets none, but the command is not lost.
func (g *Gateway) handleCommand(e *endpoint, m *nats.Msg) {
	r, err := g.open(e, m)
	if r == nil {
		g.metrics.unknown.count(outcomeDropped, 0)
		return
	}
	c, deadline, meter, readErr := g.readCommand(r)
	if err == nil {
		err = readErr
	}
	if err == nil {
		err = g.admit(len(m.Data))
	}
	if err != nil {
		meter.done(r, r.fail(err), false)
		return
	}
	size := len(m.Data)
	m.Data = nil // the command has it, until it is decoded
	g.config.Actors.Submit(until{context.Background(), deadline}, c, func(result actor.Result, err error) {
		defer g.release(size)
		g.reply(r, meter, c.Stream, result, err)
	})
}

// admit takes a place for a command of so many bytes, until release.
func (g *Gateway) admit(size int) error {
	if !g.commands.TryAcquire(1) {
		return fmt.Errorf("%w: %d commands are under way on node %s", actor.ErrBusy, g.config.MaxInFlight, g.config.Node)
	}
	if !g.payloads.TryAcquire(int64(size)) {
		g.commands.Release(1)
		return fmt.Errorf("%w: %d bytes of commands are under way on node %s", actor.ErrBusy, g.config.MaxInFlightBytes, g.config.Node)
	}
	g.metrics.inFlight.Inc()
	return nil
}

func (g *Gateway) release(size int) {
	g.metrics.inFlight.Dec()
	g.payloads.Release(int64(size))
	g.commands.Release(1)
}

func (g *Gateway) reply(r *request, meter *commandMeter, stream store.StreamID, result actor.Result, err error) {
	if err != nil {
		meter.done(r, r.fail(stored(err)), false)
		return
	}
	code := r.answer(commandResponse{
		Type: typeCommand, Aggregate: stream.Type, ID: stream.ID,
		Version: result.Version, Position: result.Position, Events: nonNil(result.Events), Duplicate: result.Duplicate,
	})
	meter.done(r, code, result.Duplicate)
}

// readCommand checks everything that can be told without the aggregate. The
// meter is right as soon as the command's name is known.
func (g *Gateway) readCommand(r *request) (c actor.Command, deadline time.Time, meter *commandMeter, err error) {
	meter = &g.metrics.unknown
	c.Stream, c.Name, err = g.subjects.parseCommand(r.msg.Subject)
	if err != nil {
		return c, deadline, meter, err
	}
	aggregate := g.aggregates[c.Stream.Type]
	if aggregate == nil {
		return c, deadline, meter, &store.UnknownTypeError{What: "aggregate", Name: c.Stream.Type}
	}
	known := aggregate.meters[c.Name]
	if known == nil {
		return c, deadline, meter, &store.UnknownTypeError{What: "command", Name: c.Name}
	}
	h, err := parseHeaders(r.msg.Header, commandHeaders, r.began)
	if err != nil {
		return c, deadline, known, err
	}
	if err := g.checkPayload(r.codec, r.msg.Data); err != nil {
		return c, deadline, known, err
	}
	if deadline, err = r.deadline(h.deadline); err != nil {
		return c, deadline, known, err
	}
	c.Body, c.Codec, c.ID = r.msg.Data, r.codec, h.commandID
	c.Expected, c.HasExpected, c.OnConflict = h.expected, h.hasExpected, h.onConflict
	c.CorrelationID, c.CausationID, c.Traceparent = h.correlationID, h.causationID, h.traceparent
	// Principal stays empty: it comes from the connection or from nowhere.
	return c, deadline, known, g.checkPlacement(c.Stream)
}

// checkPayload bounds a payload. One over the limit that is not even a value
// is malformed first of all: making it smaller would not help its sender.
func (g *Gateway) checkPayload(codec store.Codec, data []byte) error {
	if len(data) <= g.config.MaxCommandBytes {
		return nil
	}
	if codec == store.MsgPack {
		if err := store.GuardMsgPack(data); err != nil {
			return &store.InvalidError{What: "payload", Value: fmt.Sprintf("%d bytes", len(data)), Reason: err.Error()}
		}
	}
	return &store.TooLargeError{What: "command", Size: len(data), Limit: g.config.MaxCommandBytes}
}

func (g *Gateway) checkPlacement(s store.StreamID) error {
	if g.config.Placement == nil {
		return nil
	}
	partition := s.Partition(g.config.Partitions)
	node, here := g.config.Placement.Owner(partition)
	switch {
	case here:
		return nil
	case node == "":
		return fmt.Errorf("%w: no node serves partition %d", store.ErrUnavailable, partition)
	}
	return fmt.Errorf("%w: partition %d is served by node %s", store.ErrUnavailable, partition, node)
}

// stored turns the complaint about an unknown type into what it means once the
// names that the asker used are known: the log holds an event that this build
// does not know.
func stored(err error) error {
	if ruleOf(err).code == CodeUnknownType {
		return fmt.Errorf("%w: %w", actor.ErrInternal, err)
	}
	return err
}

// until is a context that carries a deadline and no timer: [Actors.Submit]
// reads the time and nothing else, and a timer for each command is not free.
type until struct {
	context.Context
	at time.Time
}

// Deadline implements [context.Context].
func (u until) Deadline() (time.Time, bool) { return u.at, true }
