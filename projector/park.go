package projector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// errPartly: documents have an event already that cannot be applied any more, so
// its stream cannot be parked at it.
var errPartly = errors.New("some documents have the event already: rebuild the view")

// park notes that the stream waits at the event, and passes it over. That is
// written by itself: a document beyond the checkpoint is then known to have all
// events before its position but those of streams that were parked already.
func (r *run) park(ctx context.Context, c *store.Commit, e store.Recorded[[]byte], m mark) error {
	if err := r.flush(ctx); err != nil {
		return err
	}
	why := r.again.park
	r.again.park = nil
	if err := r.mayPark(ctx, e, why); err != nil {
		return err
	}
	l := r.newLetter(c, m, why)
	note, err := l.note()
	if err != nil {
		return err
	}
	m.passed = true
	r.staged, r.notes = append(r.staged, m), append(r.notes, note)
	if err := r.flush(ctx); err != nil {
		return err
	}
	r.w.remember(l)
	r.w.p.meter.parked.Inc()
	r.w.logger.Error("stream parked", "stream", l.Stream.String(), "event_version", l.At, "position", uint64(l.Position),
		"event", l.Event, "kind", l.Kind, "attempts", l.Attempts, "err", why.Reason, "letter", l.ID)
	return nil
}

// mayPark returns why the stream cannot be parked. That is not blamed on the event.
func (r *run) mayPark(ctx context.Context, e store.Recorded[[]byte], why *EventError) error {
	refused := r.w.parked() >= r.w.p.cfg.MaxParked
	reason := fmt.Errorf("%w: %d", ErrTooManyParked, r.w.p.cfg.MaxParked)
	if !refused {
		var err error
		if refused, err = r.partly(ctx, e); err != nil {
			return err
		}
		reason = errPartly
	}
	if refused {
		return fmt.Errorf("view %s cannot park %s at version %d (%s): %w", r.w.p.desc.Name, e.Stream, e.Version, why.Reason.Error(), reason)
	}
	return nil
}

// partly reports whether a document has the event already: it was applied once,
// and a torn or a split commit kept some of what it came to.
func (r *run) partly(ctx context.Context, e store.Recorded[[]byte]) (bool, error) {
	if r.stored.Furthest < e.Position {
		return false, nil
	}
	defer r.renew()
	if err := r.folder.stage(arrival{Recorded: e}); err != nil {
		return false, nil // no document can have what cannot be read
	}
	if err := r.fetch(ctx); err != nil {
		return false, err
	}
	return r.folder.partly(), nil
}

func (r *run) newLetter(c *store.Commit, m mark, why *EventError) *letter {
	now, model := time.Now().UTC(), r.w.p.model
	return &letter{
		DeadLetter: DeadLetter{
			Model: model, ID: letterID(model, r.w.name, m.Stream, m.Position), Worker: r.w.name,
			Stream: m.Stream, At: m.Version, Position: m.Position, Event: m.Type,
			Kind: why.Kind, Error: reasonText(why.Reason), Attempts: r.again.tries, Parked: now, Tried: now,
		},
		First: m.Position,
		After: c.After,
		seen:  m.Version,
	}
}

// skipListed records an event of the definition's skip list that is passed over.
func (r *run) skipListed(e EventError, reason string) {
	s := r.skipped(e, "", reason, bySkipList)
	if note, err := s.note(); err == nil { // it is made of strings and numbers
		r.notes = append(r.notes, note)
		r.w.rememberSkipped(s)
	}
}

// bySkipList is who skips what a definition says.
const bySkipList = "skip list"

func (r *run) skipped(e EventError, fault, reason, by string) Skipped {
	return Skipped{
		Model: r.w.p.model, Worker: r.w.name, Stream: e.Stream, At: e.Version, Position: e.Position, Event: e.Type,
		Error: fault, Reason: reason, By: by, Time: time.Now().UTC(),
	}
}

// waits reports whether the event waits in a parked stream, and counts it.
func (w *worker) waits(e store.Recorded[[]byte]) bool {
	l := w.letters[e.Stream] // only the loop writes it, and this is the loop
	if l == nil || e.Version < l.At {
		return false
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if l.seen > 0 {
		l.seen = max(l.seen, e.Version)
	}
	return true
}

// parked is how many streams wait.
func (w *worker) parked() int {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return len(w.letters)
}

func (w *worker) remember(l *letter) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.letters[l.Stream] = l
}

func (w *worker) forget(l *letter) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	delete(w.letters, l.Stream)
}

func (w *worker) forgetSkipped(at eventAt) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	delete(w.skipped, at)
}

func (w *worker) rememberSkipped(s Skipped) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	at := eventAt{s.Stream, s.At}
	if _, known := w.skipped[at]; !known {
		w.p.meter.skipped.Inc()
		w.logger.Warn("event skipped", "stream", s.Stream.String(), "event_version", s.At, "position", uint64(s.Position),
			"event", s.Event, "reason", s.Reason, "by", s.By)
	}
	w.skipped[at] = s
}
