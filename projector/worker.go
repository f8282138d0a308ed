package projector

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/annals-go/annals/store"
)

// worker is one of the loops that keep a read model up to date, each with a
// part of it: of the documents by their keys, of tables and reactions by the
// events' streams. Every worker reads all events of the view's types, so it has
// a checkpoint, a feed and a proof of its own, which say the same as another's
// at the same position.
//
// standing is guarded by the projection's lock; the loop alone changes it.
type worker struct {
	p       *projection
	nth     int
	name    string // of its checkpoint and its notes
	logger  *slog.Logger
	skips   map[eventAt]string // events to leave out, and why
	orders  []*order           // that the loop has not begun
	wake    context.CancelFunc // ends what the loop waits for; nil while it does not
	cleanAt time.Time          // the store's files are not cleaned again before; the loop's own
	wrote   uint64             // revision of the last write that the loop knows of; the loop's own
	standing
}

// standing is what is known of a worker that runs here, since it came.
type standing struct {
	view      View // nil until opened
	state     string
	err       error      // why it is failed, or was when it began again
	unserved  error      // set while the view must not be read at all
	stored    Checkpoint // as last committed
	covered   store.Position
	head      store.Position // last known tip of the followed types
	uncleaned string         // why the store's files are not clean; empty if nothing is known against it
	doubted   bool           // the last write may be stored or not: so may what is remembered
	progress  progress
	remembered
	observed
}

func newWorker(p *projection, nth, of int) *worker {
	w := &worker{p: p, nth: nth, name: strconv.Itoa(nth), logger: p.logger, skips: maps.Clone(p.desc.skip), standing: standing{state: StateStarting}}
	if of > 1 {
		w.logger = p.logger.With("worker", w.name)
	}
	return w
}

// feed is the name of the worker's durable feed, visible to operators.
func (w *worker) feed() string {
	if w.p.desc.Workers == 1 || w.p.feed == "" {
		return w.p.feed
	}
	return w.p.feed + "_w" + w.name
}

// run keeps the worker's part up to date until ctx ends. After any error it
// begins again from the checkpoint, with nothing kept in memory. It also ends
// when after an error the view is not assigned any more: a process that was
// paused learns from its heir's writes, and at once, what it was not told.
func (w *worker) run(ctx context.Context) {
	defer w.acquit()
	var again retry
	for {
		began := time.Now()
		err := w.follow(ctx, &again)
		if ctx.Err() != nil || !w.assigned() {
			return
		}
		if time.Since(began) > longRun {
			again.lasted()
		}
		if wait := w.failed(err, &again); wait > 0 {
			w.rest(ctx, func(ctx context.Context) { pause(ctx, wait) })
		}
	}
}

// failed notes why the worker cannot go on and returns how long to wait.
func (w *worker) failed(err error, again *retry) time.Duration {
	p := w.p
	if errors.Is(err, errForgotten) {
		w.logger.Info("projection begins again without the data of a forgotten person")
		return 0
	}
	if again.isolate(err) {
		return 0
	}
	p.meter.errors.Inc()
	if again.exhausted(err, p.cfg.Attempts) {
		return 0
	}
	if blamed(err) == nil && errors.Is(err, ErrFenced) {
		p.meter.fenced.Inc()
	}
	wait := again.backoff(err)
	w.report(err, wait)
	p.mu.Lock()
	defer p.mu.Unlock()
	w.state, w.err = StateFailed, err
	p.noted()
	w.progress.interrupted(time.Now())
	if blamed(err) == nil && errors.Is(err, store.ErrAhead) {
		w.unserved = err
		p.waiters.fail(err)
	}
	return wait
}

func (w *worker) report(err error, wait time.Duration) {
	var panicked *PanicError
	switch stopped := blamed(err); {
	case errors.As(err, &panicked):
		w.logger.Error("projection panicked", "err", err, "retry_in", wait, "stack", string(panicked.Stack))
	case stopped != nil:
		w.logger.Error("projection cannot apply an event", "err", err, "retry_in", wait)
	case errors.Is(err, store.ErrAhead):
		w.logger.Error("view is ahead of the log and is not served", "err", err, "retry_in", wait)
	case errors.Is(err, ErrFenced):
		w.logger.Warn("projection was taken over", "err", err, "retry_in", wait)
	default:
		w.logger.Warn("projection interrupted", "err", err, "retry_in", wait)
	}
}

// recalled notes what the store keeps beside the checkpoint.
func (w *worker) recalled(m remembered) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.remembered, w.doubted = m, false
}

// doubt notes that the store may hold other notes than are remembered, which the
// loop reads anew when it begins again.
func (w *worker) doubt() {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.doubted = true
}

// loaded notes the checkpoint that an attempt found, for operators to see
// where the view stands even if it cannot be served.
func (w *worker) loaded(c Checkpoint) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.view == nil {
		w.stored = c
	}
}

// resumed notes the checkpoint that an attempt begins with, and that the view
// can be read. What ended the attempt before is forgotten only when this one gets
// further: a store that refuses each write is named all the time.
func (w *worker) resumed(v View, c Checkpoint, head store.Position) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.view, w.stored, w.covered, w.head = v, c, c.Position, head
	w.p.changes.begin(c)
	w.unserved = nil
	if head > c.Position {
		w.state = StateCatchingUp
		w.progress.begin(time.Now(), c)
	} else {
		w.state, w.err = StateLive, nil
		w.progress.caughtUp()
	}
	w.p.moved()
	w.p.noted()
}

// committed notes a checkpoint that can be read, made from so many commits,
// and how many the log held beyond it.
func (w *worker) committed(c Checkpoint, commits, left uint64, live bool) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.progress.applied(commits, c.Events-w.stored.Events)
	w.stored = c
	w.head = max(w.head, c.Position)
	w.covered = max(w.covered, c.Position)
	w.p.moved()
	w.look(left, live)
}

// looked notes that the log held so many commits beyond the checkpoint.
func (w *worker) looked(left uint64, live bool) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.look(left, live)
}

func (w *worker) look(left uint64, live bool) {
	defer w.p.noted()
	now := time.Now()
	w.err = nil
	if live {
		w.liveWith(left, now)
		return
	}
	if w.state != StateCatchingUp {
		w.state = StateCatchingUp
		w.progress.begin(now, w.stored)
	}
	w.progress.note(w.stored, left)
	if attrs := w.progress.report(now, w.stored); attrs != nil {
		w.logger.Info("projection catching up", attrs...)
	}
}

func (w *worker) liveWith(left uint64, now time.Time) {
	if w.state == StateCatchingUp {
		if attrs := w.progress.summary(now, w.stored); attrs != nil {
			w.logger.Info("projection caught up", attrs...)
		}
	}
	w.state = StateLive
	w.progress.caughtUp()
	if left > 0 {
		w.progress.note(w.stored, left)
	}
}
