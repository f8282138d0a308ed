package actor

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

const (
	// maxAttempts is how often a turn is decided anew because the log moved on.
	maxAttempts = 12
	// maxTurnBytes keeps a commit of many commands under [store.MaxCommitBytes],
	// with room for what the estimate leaves out.
	maxTurnBytes = store.MaxCommitBytes - 64<<10
	// overheadBytes is more than what a commit needs beside the texts of a
	// command and the data of an event.
	overheadBytes = 96
)

// turn decides the commands of a batch, in order, stores their events as one
// commit, and replies. It returns the commands that did not fit.
//
// Nothing is answered before the commit that it rests on is stored: a
// rejection may be owed to events that were decided a moment ago.
func (s *System) turn(a *actor, batch []*request) (rest []*request) {
	batch = s.begin(batch)
	for attempt := 1; len(batch) > 0; attempt++ {
		if err := s.activateIfNeeded(a); err != nil {
			answerAll(batch, err)
			return nil
		}
		t := newDraft(a, len(batch))
		n := s.decide(a, t, batch)
		err := s.store(a, t)
		if err == nil {
			t.answer()
			if t.poisoned {
				a.live = nil
			}
			return batch[n:]
		}
		a.live = nil // it ran ahead of the log
		if !errors.Is(err, store.ErrConflict) || attempt == maxAttempts {
			t.fail(err)
			return batch[n:]
		}
		a.kind.metrics.conflicts.Inc()
		time.Sleep(time.Duration(rand.Int64N(int64(attempt) * int64(time.Millisecond))))
		batch = dropExpired(batch, time.Now())
	}
	return nil
}

// begin takes the requests whose senders still wait.
func (s *System) begin(batch []*request) []*request {
	now := time.Now()
	kept := batch[:0]
	for _, r := range batch {
		leftOver := r.state.Load() == taken // by the turn before
		if leftOver || r.take() {
			kept = append(kept, r)
		}
	}
	return dropExpired(kept, now)
}

// dropExpired answers the requests whose time is over before they were
// executed, and returns the others.
func dropExpired(batch []*request, now time.Time) []*request {
	kept := batch[:0]
	for _, r := range batch {
		if r.expired(now) {
			r.reply(Result{}, ErrDeadline)
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

func answerAll(batch []*request, err error) {
	for _, r := range batch {
		r.reply(Result{}, err)
	}
}

// draft is a turn in the making: a commit, and an answer for each command.
type draft struct {
	commit   store.Commit
	start    store.Position // of the stream's last event before the turn
	outcomes []outcome
	bytes    int
	poisoned bool // the state cannot be trusted any more
}

// outcome is what a command will be answered once the draft is stored.
type outcome struct {
	request *request
	err     error
	result  Result // of an earlier command
	first   int    // index of the command's first event in the commit
	end     int    // index after its last
	// repeats is the index of the outcome whose command this one repeats, -1 if none.
	repeats int
}

func newDraft(a *actor, n int) *draft {
	return &draft{
		commit:   store.Commit{Stream: a.stream, After: a.live.head},
		start:    a.live.position,
		outcomes: make([]outcome, 0, n),
	}
}

// version is that of the stream as the next command will find it.
func (t *draft) version() uint64 { return t.commit.After.Version + uint64(len(t.commit.Events)) }

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
	known, err := s.recognize(a, t, r, o)
	if known || err != nil {
		return err
	}
	if err := s.checkExpected(a, t, r); err != nil {
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
	if err := t.fit(r, events[before:]); err != nil {
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
		s.config.Logger.Error("aggregate panicked", "stream", p.Stream.String(), "in", p.In, "panic", p.Value, "stack", string(p.Stack))
	}
	return err
}

// fit checks that the command's events can join the commit.
func (t *draft) fit(r *request, events []store.Event) error {
	c := &r.command
	size := overheadBytes + len(c.ID) + len(c.Name) + len(c.CorrelationID) + len(c.CausationID) + len(c.Principal) + len(c.Traceparent)
	for i := range events {
		size += overheadBytes + len(events[i].Type) + len(events[i].Data)
	}
	switch {
	case len(events) > store.MaxEvents:
		return &store.TooLargeError{What: "commit (events)", Size: len(events), Limit: store.MaxEvents}
	case size > maxTurnBytes:
		return &store.TooLargeError{What: "commit (bytes)", Size: size, Limit: maxTurnBytes}
	case len(t.commit.Events)+len(events) > store.MaxEvents || t.bytes+size > maxTurnBytes:
		return errNextTurn
	}
	t.bytes += size
	return nil
}

func (r *request) stored() store.Command {
	c := &r.command
	return store.Command{
		ID: c.ID, Name: c.Name, BodyHash: r.bodyHash, CorrelationID: c.CorrelationID,
		CausationID: c.CausationID, Principal: c.Principal, Traceparent: c.Traceparent,
	}
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

// store appends the draft, if it has events, and moves the actor's state to it.
func (s *System) store(a *actor, t *draft) error {
	if len(t.commit.Events) == 0 {
		return s.verify(a, t)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return &store.RefusedError{Stream: a.stream, Reason: err}
	}
	t.commit.ID, t.commit.Time = id, time.Now().UTC().Truncate(time.Microsecond)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.AppendTimeout)
	defer cancel()
	began := time.Now()
	head, err := s.config.Log.Append(ctx, &t.commit)
	if err != nil {
		return err
	}
	a.kind.metrics.appended(time.Since(began), len(t.commit.Events))
	t.commit.Sequence, t.commit.Hash = head.Sequence, head.Hash
	a.live.advance(&t.commit, a.kind)
	return nil
}

// verify makes sure that a draft without events rests on the stream's end. An
// append proves that by itself; so does serving the stream alone.
func (s *System) verify(a *actor, t *draft) error {
	if !s.config.Shared || !slices.ContainsFunc(t.outcomes, func(o outcome) bool { return !o.result.Duplicate }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ActivateTimeout)
	defer cancel()
	for c, err := range s.config.Log.Read(ctx, a.stream, a.live.head) {
		if err != nil {
			return err
		}
		return &store.ConflictError{Stream: a.stream, Expected: c.After.Version, Actual: c.Head().Version}
	}
	return nil
}

// answer replies to every command of a stored draft.
func (t *draft) answer() {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		switch {
		case o.err != nil:
			o.request.reply(Result{}, o.err)
		case o.repeats >= 0:
			o.result = t.outcomes[o.repeats].result
			o.result.Duplicate = true
			o.request.reply(o.result, nil)
		case o.result.Duplicate:
			o.request.reply(o.result, nil)
		default:
			o.result = t.resultOf(o)
			o.request.reply(o.result, nil)
		}
	}
}

func (t *draft) resultOf(o *outcome) Result {
	r := Result{Version: t.commit.After.Version + uint64(o.end), Position: t.start}
	if o.end > 0 {
		r.Position = store.PositionOf(t.commit.Sequence, o.end-1)
	}
	for _, e := range t.commit.Events[o.first:o.end] {
		r.Events = append(r.Events, e.Type)
	}
	return r
}

// fail replies to every command of a draft that was not stored, or may not
// have been.
func (t *draft) fail(err error) {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		if o.result.Duplicate && o.err == nil { // it rests on the log, not on the draft
			o.request.reply(o.result, nil)
			continue
		}
		o.request.reply(Result{}, err)
	}
}
