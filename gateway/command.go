package gateway

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// readCommand checks everything that can be told without the aggregate. The
// meter is right as soon as the command's name is known.
func (g *Gateway) readCommand(r *request) (e errand, err error) {
	e = errand{request: r, meter: &g.metrics.unknown, size: len(r.msg.Data)}
	c := &e.command
	if c.Stream, c.Name, err = g.subjects.parseCommand(r.path); err != nil {
		return e, err
	}
	aggregate := g.aggregates[c.Stream.Type]
	if aggregate == nil {
		return e, &store.UnknownTypeError{What: "aggregate", Name: c.Stream.Type}
	}
	known := aggregate.meters[c.Name]
	if known == nil {
		return e, &store.UnknownTypeError{What: "command", Name: c.Name}
	}
	e.meter = known
	h, err := parseHeaders(r.msg.Header, commandHeaders, r.endpoint.passed, r.began)
	if err != nil {
		return e, err
	}
	if err := g.checkPayload(r.codec, r.msg.Data); err != nil {
		return e, err
	}
	if e.deadline, err = r.deadline(h.deadline, g.config.MaxTimeout); err != nil {
		return e, err
	}
	if err := g.knownViews(h.waitViews); err != nil {
		return e, err
	}
	e.hops = h.hops
	if r.reply != "" { // nobody waits for an answer that nobody gets
		e.views = h.waitViews
	}
	c.Body, c.Codec, c.Schema, c.ID = r.msg.Data, r.codec, h.schema, h.commandID
	c.Expected, c.HasExpected, c.OnConflict = h.expected, h.hasExpected, h.onConflict
	c.CorrelationID, c.CausationID, c.Traceparent = h.correlationID, h.causationID, h.traceparent
	c.Corrects = h.corrects
	c.Principal = r.who.Principal
	return e, g.permit(r, Ask{Kind: KindCommand, Aggregate: c.Stream.Type, ID: c.Stream.ID, Name: c.Name})
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

// stored turns the complaint about an unknown type into what it means once the
// names that the asker used are known: the log holds an event that this build
// does not know. The schema version of a command is the asker's own.
func stored(err error) error {
	if ruleOf(err).code != CodeUnknownType {
		return err
	}
	if unknown, ok := errors.AsType[*store.UnknownTypeError](err); ok && unknown.What == "command" {
		return err
	}
	return fmt.Errorf("%w: %w", actor.ErrInternal, err)
}
