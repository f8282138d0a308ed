package actortest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Specification is one given/when/then of an aggregate. Its methods end the
// test at the first thing that is not as specified.
type Specification[S, C, E any] struct {
	t         testing.TB
	aggregate actor.Aggregate[S, C, E]
	state     S
	decided   bool
	events    []E
	err       error
}

// For begins a specification of an aggregate instance without history.
func For[S, C, E any](t testing.TB, aggregate actor.Aggregate[S, C, E]) *Specification[S, C, E] {
	t.Helper()
	return &Specification[S, C, E]{t: t, aggregate: aggregate}
}

// Given tells what has happened before. Given after When goes on from what was
// decided.
func (s *Specification[S, C, E]) Given(events ...E) *Specification[S, C, E] {
	s.t.Helper()
	s.evolve(s.events)
	s.events, s.err, s.decided = nil, nil, false
	for _, e := range events {
		s.checkStored("given event", e)
	}
	s.evolve(events)
	return s
}

// GivenStored tells what has happened before as an older build stored it: the wire
// name, the schema version, and the data in JSON.
func (s *Specification[S, C, E]) GivenStored(name string, schema int, data string) *Specification[S, C, E] {
	s.t.Helper()
	events, err := s.aggregate.Events.DecodeAll(nil, store.JSON, name, schema, []byte(data))
	if err != nil {
		s.t.Fatalf("given event %s of schema version %d: %v", name, schema, err)
	}
	return s.Given(events...)
}

// When sends a command. What it decides becomes part of the history when the
// next Given or When follows.
func (s *Specification[S, C, E]) When(command C) *Specification[S, C, E] {
	s.t.Helper()
	s.Given()
	s.checkSent(command)
	before := s.snapshot()
	s.events, s.err = s.aggregate.Decide(s.state, command)
	s.decided = true
	if d := diff(before, s.snapshot()); d != "" {
		s.t.Fatalf("Decide changed the state by %T (-before +after):\n%s", command, d)
	}
	if s.err != nil && len(s.events) > 0 {
		s.t.Fatalf("Decide of %T returned both events %v and an error: %v", command, s.events, s.err)
	}
	for _, e := range s.events {
		s.checkStored("decided event", e)
	}
	return s
}

// Then wants exactly these events, in this order.
func (s *Specification[S, C, E]) Then(want ...E) *Specification[S, C, E] {
	s.t.Helper()
	s.mustHaveDecided()
	if s.err != nil {
		s.t.Fatalf("rejected: %v\nwant events: %+v", s.err, want)
	}
	if d := diff(want, s.events); d != "" {
		s.t.Fatalf("events (-want +got):\n%s", d)
	}
	return s
}

// ThenNothing wants success without an event.
func (s *Specification[S, C, E]) ThenNothing() *Specification[S, C, E] {
	s.t.Helper()
	s.mustHaveDecided()
	if s.err != nil || len(s.events) > 0 {
		s.t.Fatalf("got events %+v, error %v; want neither", s.events, s.err)
	}
	return s
}

// ThenError wants a rejection that matches target as [errors.Is] does.
func (s *Specification[S, C, E]) ThenError(target error) *Specification[S, C, E] {
	s.t.Helper()
	s.mustHaveDecided()
	if !errors.Is(s.err, target) {
		s.t.Fatalf("got events %+v, error %v; want the rejection %v", s.events, s.err, target)
	}
	return s
}

// ThenState wants the state after what was given and decided.
func (s *Specification[S, C, E]) ThenState(want S) *Specification[S, C, E] {
	s.t.Helper()
	s.Given()
	if d := diff(want, s.state); d != "" {
		s.t.Fatalf("state (-want +got):\n%s", d)
	}
	return s
}

func (s *Specification[S, C, E]) mustHaveDecided() {
	s.t.Helper()
	if !s.decided {
		s.t.Fatal("a Then without a When")
	}
}

func (s *Specification[S, C, E]) evolve(events []E) {
	for _, e := range events {
		s.state = s.aggregate.Evolve(s.state, e)
	}
}

// checkStored catches an event that is missing from the table of wire names,
// or that comes back from the log as another value.
func (s *Specification[S, C, E]) checkStored(what string, e E) {
	s.t.Helper()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		encoded, err := s.aggregate.Events.Encode(codec, e)
		if err != nil {
			s.t.Fatalf("%s %T: %v", what, e, err)
		}
		back, err := s.aggregate.Events.Decode(codec, encoded.Name, encoded.Schema, encoded.Data)
		if err != nil {
			s.t.Fatalf("%s %T, stored as %s: %v", what, e, codec.Name(), err)
		}
		if d := diff(e, back); d != "" {
			s.t.Fatalf("%s %T is another after being stored as %s (-before +after):\n%s", what, e, codec.Name(), d)
		}
	}
}

func (s *Specification[S, C, E]) checkSent(c C) {
	s.t.Helper()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		encoded, err := s.aggregate.Commands.Encode(codec, c)
		if err != nil {
			s.t.Fatalf("command %T: %v", c, err)
		}
		back, err := s.aggregate.Commands.DecodeStrict(codec, encoded.Name, 0, encoded.Data)
		if err != nil {
			s.t.Fatalf("command %T, sent as %s: %v", c, codec.Name(), err)
		}
		if d := diff(c, back); d != "" {
			s.t.Fatalf("command %T is another after being sent as %s (-before +after):\n%s", c, codec.Name(), d)
		}
	}
}

// snapshot returns the state's bytes, which no later change reaches.
func (s *Specification[S, C, E]) snapshot() string {
	s.t.Helper()
	data, err := store.JSON.Marshal(s.state)
	if err != nil {
		s.t.Fatalf("state cannot be encoded, so it cannot be snapshotted: %v", err)
	}
	return string(data)
}

func diff(want, got any) string {
	everyField := cmp.Exporter(func(reflect.Type) bool { return true })
	return cmp.Diff(want, got, everyField)
}
