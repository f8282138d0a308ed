package actor

import (
	"context"
	"errors"

	"github.com/annals-go/annals/store"
)

// errNextTurn sends a command to the next turn: this one has no room for it,
// or must be stored first.
var errNextTurn = errors.New("next turn")

// decide decides commands until the commit is full, and returns how many.
func (s *System) decide(a *actor, t *draft, batch []*request) int {
	for i, r := range batch {
		if t.poisoned {
			return i
		}
		o := outcome{request: r, first: len(t.commit.Events), repeats: -1}
		o.err = s.decideOne(a, t, r, &o)
		if errors.Is(o.err, errNextTurn) {
			return i
		}
		o.end = len(t.commit.Events)
		t.outcomes = append(t.outcomes, o)
	}
	return len(batch)
}

func (s *System) decideOne(a *actor, t *draft, r *request, o *outcome) error {
	if r.reading != nil {
		return s.copyState(a, t, r)
	}
	known, err := s.recognize(a, t, r, o)
	if known || err != nil {
		return err
	}
	if err := s.checkExpected(a, t, r); err != nil {
		return err
	}
	if err := t.checkCorrects(r); err != nil {
		return err
	}
	live, before := a.live, len(t.commit.Events)
	events, err := live.instance.decide(r.decoded, len(t.commit.Commands), t.commit.Events)
	if err != nil {
		return s.reportPanic(named(err, a.stream, r.command.Name))
	}
	if len(events) == before {
		return nil
	}
	if err := t.fit(s.config.Log.Codec(), r, events[before:]); err != nil {
		live.instance.discard()
		return err
	}
	if err := live.instance.apply(); err != nil {
		// What cannot be evolved must not be stored: no replay would get past it.
		t.poisoned = true
		return s.reportPanic(named(err, a.stream, r.command.Name))
	}
	t.commit.Events = events
	t.commit.Commands = append(t.commit.Commands, r.stored())
	return nil
}

func (s *System) reportPanic(err error) error {
	if p, ok := errors.AsType[*PanicError](err); ok {
		p.LogTo(s.config.Logger)
	}
	return err
}

// checkExpected applies the command's conflict policy.
func (s *System) checkExpected(a *actor, t *draft, r *request) error {
	c := &r.command
	if !c.HasExpected || c.Expected == t.version() || c.OnConflict == Retry {
		return nil
	}
	conflict := &store.ConflictError{Stream: a.stream, Expected: c.Expected, Actual: t.version()}
	if c.OnConflict != Merge || !a.kind.merges() || c.Expected > t.version() {
		return conflict
	}
	if len(t.commit.Events) > 0 {
		return errNextTurn // the events in between must be in the log to be read
	}
	since, err := s.eventsAfter(a, c.Expected)
	if err != nil {
		return err
	}
	ok, err := a.kind.merge(r.decoded, since)
	if err != nil {
		return s.reportPanic(named(err, a.stream, c.Name))
	}
	if !ok {
		return conflict
	}
	return nil
}

// eventsAfter reads the events that follow a version.
func (s *System) eventsAfter(a *actor, version uint64) ([]store.Event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ActivateTimeout)
	defer cancel()
	var events []store.Event
	for c, err := range s.config.Log.Read(ctx, a.stream, a.live.before(version)) {
		if err != nil {
			return nil, err
		}
		if end := c.Head().Version; end > version {
			skip := max(version, c.After.Version) - c.After.Version
			events = append(events, c.Events[skip:]...)
		}
	}
	return events, nil
}
