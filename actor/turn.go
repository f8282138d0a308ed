package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// maxAttempts is how often a turn is decided, because the log moved on or personal data
// were erased.
const maxAttempts = 12

// turn decides the commands of a batch, in order, stores their events as one
// commit, and replies. It returns the commands that did not fit.
//
// Nothing is answered before the commit that it rests on is stored: a
// rejection may be owed to events that were decided a moment ago.
func (s *System) turn(a *actor, batch []*request) (rest []*request) {
	batch = s.begin(batch)
	epoch, err := s.epoch(a)
	if err != nil {
		answerAll(batch, err)
		return nil
	}
	for attempt := 1; len(batch) > 0; attempt++ {
		if err := s.activateIfNeeded(a, epoch); err != nil {
			answerAll(batch, err)
			return nil
		}
		t := newDraft(a, epoch, len(batch))
		n := s.decide(a, t, batch)
		err := s.store(a, t)
		if err == nil {
			s.answer(a, t, epoch)
			return batch[n:]
		}
		a.live = nil // it ran ahead of the log
		again := a.kind.metrics.again(err)
		if !again || attempt == maxAttempts {
			t.fail(unserved(err))
			return batch[n:]
		}
		if !s.holds(a, epoch) { // the one who moved it serves the stream now
			t.fail(ErrMoved)
			return batch[n:]
		}
		time.Sleep(time.Duration(rand.Int64N(int64(attempt) * int64(time.Millisecond))))
		batch = dropExpired(batch, time.Now())
	}
	return nil
}

// again counts why a turn is to be decided anew. It reports false if it is not.
func (m *kindMetrics) again(err error) bool {
	switch {
	case errors.Is(err, store.ErrConflict):
		m.conflictsLog.Inc()
	case errors.Is(err, store.ErrErased):
		m.conflictsErased.Inc()
	default:
		return false
	}
	return true
}

// unserved is the error that a sender gets in the place of one that is an actor's own.
func unserved(err error) error {
	if errors.Is(err, store.ErrErased) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
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

// store appends the draft, if it has events, and moves the actor's state to it.
func (s *System) store(a *actor, t *draft) error {
	if len(t.commit.Events) == 0 {
		return s.verify(a, t)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return &store.RefusedError{Stream: a.stream, Reason: err}
	}
	t.commit.Rests = a.live.keys.all()
	t.commit.ID, t.commit.Time = id, time.Now().UTC().Truncate(time.Microsecond)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.AppendTimeout)
	defer cancel()
	began := time.Now()
	if _, err := s.config.Log.Append(ctx, &t.commit); err != nil {
		return err
	}
	a.kind.metrics.appended(time.Since(began), len(t.commit.Events))
	a.live.advance(&t.commit, a.kind)
	return nil
}

// verify makes sure that a draft without events rests on the stream's end, if
// that is not certain or if a reader wants it. An append proves that by itself;
// so does serving the stream alone.
func (s *System) verify(a *actor, t *draft) error {
	doubted := func(o outcome) bool {
		r := o.request.reading
		return s.config.Shared && !o.result.Duplicate || r != nil && r.checked
	}
	if !slices.ContainsFunc(t.outcomes, doubted) {
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
