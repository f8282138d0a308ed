package actor

import (
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// maxTurnBytes keeps a commit of many commands under [store.MaxCommitBytes],
	// with room for what the estimate leaves out.
	maxTurnBytes = store.MaxCommitBytes - 64<<10
	// overheadBytes is more than what a commit needs beside the texts of a
	// command and the data of an event.
	overheadBytes = 96
)

// draft is a turn in the making: a commit, and an answer for each command.
type draft struct {
	commit   store.Commit
	start    store.Position // of the stream's last event before the turn
	began    time.Time      // of the commit that holds it
	outcomes []outcome
	bytes    int
	poisoned bool // the state cannot be trusted any more
	// copied is the state as the last read found it, at version copiedAt.
	copied   []byte
	copiedAt uint64
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

// newDraft begins a turn under an epoch; 0 carries on the stream's own.
func newDraft(a *actor, epoch uint64, n int) *draft {
	if epoch == 0 {
		epoch = a.live.epoch
	}
	return &draft{
		commit:   store.Commit{Stream: a.stream, After: a.live.head, Epoch: epoch},
		start:    a.live.position,
		began:    a.live.time,
		outcomes: make([]outcome, 0, n),
	}
}

// version is that of the stream as the next command will find it.
func (t *draft) version() uint64 { return t.commit.After.Version + uint64(len(t.commit.Events)) }

// fit checks that the command's events can join the commit.
func (t *draft) fit(codec store.Codec, r *request, events []store.Event) error {
	c := &r.command
	size := overheadBytes + len(c.ID) + len(c.Name) + len(c.CorrelationID) + len(c.CausationID) + len(c.Principal) + len(c.Traceparent) + len(c.Corrects) + len(r.kept.Data) +
		sealing(codec, c.Stream, r.kept.Personal)
	for i := range events {
		size += overheadBytes + len(events[i].Type) + len(events[i].Data) + sealing(codec, c.Stream, events[i].Personal)
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
		Corrects: c.Corrects, Schema: r.kept.Schema, Data: r.kept.Data, Personal: r.kept.Personal,
	}
}

// answer replies to every command of a stored draft, and drops a state that
// must not be built on.
func (s *System) answer(a *actor, t *draft, epoch uint64) {
	if s.holds(a, epoch) {
		t.answer(&a.kind.metrics)
	} else {
		t.lapse()
	}
	if t.poisoned {
		a.live = nil
	}
}

// answer replies what each command did.
func (t *draft) answer(m *kindMetrics) {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		err := t.settle(o)
		if errors.Is(err, store.ErrConflict) {
			m.conflictsExpected.Inc()
		}
		if err != nil {
			o.result = Result{}
		}
		o.request.reply(o.result, err)
	}
}

// settle completes an outcome once the draft is stored.
func (t *draft) settle(o *outcome) error {
	switch {
	case o.err != nil:
		return o.err
	case o.repeats >= 0:
		o.result = t.outcomes[o.repeats].result
		o.result.Duplicate = true
	case !o.result.Duplicate:
		o.result = t.resultOf(o)
	}
	if r := o.request.reading; r != nil {
		if o.result.Version == 0 {
			return fmt.Errorf("%s: %w", t.commit.Stream, store.ErrNotFound)
		}
		r.time = t.began
		if o.end > 0 {
			r.time = t.commit.Time
		}
	}
	return nil
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

// lapse replies to every command of a draft that was stored, or stored nothing,
// under a lease that is not valid any more. What is in the log may have had its
// answer from somebody else, and what is only in memory may be out of date.
func (t *draft) lapse() {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		switch {
		case o.remembered():
			o.request.reply(o.result, nil)
		case o.err == nil && (o.end > o.first || o.repeats >= 0):
			o.request.reply(Result{}, &store.UnknownError{Stream: t.commit.Stream, Reason: errLapse})
		default:
			o.request.reply(Result{}, errLapsed)
		}
	}
}

// fail replies to every command of a draft that was not stored, or may not
// have been.
func (t *draft) fail(err error) {
	for i := range t.outcomes {
		o := &t.outcomes[i]
		switch {
		case o.remembered():
			o.request.reply(o.result, nil)
		case o.request.reading != nil:
			o.request.reply(Result{}, unread(err))
		default:
			o.request.reply(Result{}, err)
		}
	}
}

// remembered says that the outcome rests on an earlier commit, not on the
// draft: it is true whatever becomes of the draft, and whoever serves the stream.
func (o *outcome) remembered() bool { return o.result.Duplicate && o.err == nil }
