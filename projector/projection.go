package projector

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// The states of a projection.
const (
	// StateStarting: its checkpoint is not read yet.
	StateStarting = "starting"
	// StateCatchingUp: the log has more for it.
	StateCatchingUp = "catching-up"
	// StateLive: it has applied all there was, and not fallen behind by more than
	// one batch since.
	StateLive = "live"
	// StateFailed: it cannot go on; it tries again.
	StateFailed = "failed"
	// StateElsewhere: it is not assigned here, see [Config.Assigned].
	StateElsewhere = "elsewhere"
	// StateStopped: Run has ended.
	StateStopped = "stopped"
)

// theWorker is the one worker of a view. Several would split the partitions,
// each with a checkpoint of its own.
const theWorker = "0"

// projection is one view of a group: the loop that keeps it up to date and
// what callers may know of it. The fields below mu are guarded by it; the loop
// alone changes them, but for the waiters and for whether it runs at all.
type projection struct {
	cfg    Config
	def    Definition
	desc   Description
	logger *slog.Logger
	meter  meter

	probing sync.Mutex // held by the one who asks the log on behalf of all waiters

	mu      sync.Mutex
	away    bool          // it is assigned elsewhere: what follows is out of date
	idle    chan struct{} // closed when it does not run any more; nil before it ran
	waiters waiters
	standing
}

// standing is what is known of a view that runs here, since it came.
type standing struct {
	view     View // nil until opened
	state    string
	err      error      // why it is failed, or was when it began again
	unserved error      // set while the view must not be read at all
	stored   Checkpoint // as last committed
	covered  store.Position
	head     store.Position // last known tip of the followed types
	progress progress
}

func newProjection(cfg Config, def Definition) *projection {
	desc := def.Describe()
	return &projection{
		cfg:      cfg,
		def:      def,
		desc:     desc,
		logger:   cfg.Logger.With("projection", desc.Name, "version", desc.Version),
		away:     cfg.Assigned != nil,
		standing: standing{state: StateStarting},
	}
}

// run keeps the view up to date until ctx ends. After any error it begins
// again from the checkpoint, with nothing kept in memory. It also ends when
// after an error it is not assigned any more: a process that was paused learns
// from its heir's writes, and at once, what it was not told.
func (p *projection) run(ctx context.Context) {
	var again retry
	for {
		began := time.Now()
		err := p.follow(ctx, &again)
		if ctx.Err() != nil || !p.cfg.assigned(p.desc.Name) {
			return
		}
		if time.Since(began) > longRun {
			again.lasted()
		}
		if wait := p.failed(err, &again); wait > 0 {
			pause(ctx, wait)
		}
	}
}

// failed notes why the projection cannot go on and returns how long to wait.
func (p *projection) failed(err error, again *retry) time.Duration {
	if again.isolate(err) {
		return 0
	}
	p.meter.errors.Inc()
	if errors.Is(err, ErrFenced) {
		p.meter.fenced.Inc()
	}
	wait := again.backoff(err)
	p.report(err, wait)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.err = StateFailed, err
	p.progress.interrupted(time.Now())
	if errors.Is(err, store.ErrAhead) {
		p.unserved = err
		p.waiters.fail(err)
	}
	return wait
}

func (p *projection) report(err error, wait time.Duration) {
	var stopped *EventError
	var panicked *PanicError
	switch {
	case errors.Is(err, store.ErrAhead):
		p.logger.Error("view is ahead of the log and is not served", "err", err, "retry_in", wait)
	case errors.Is(err, ErrFenced):
		p.logger.Warn("projection was taken over", "err", err, "retry_in", wait)
	case errors.As(err, &panicked):
		p.logger.Error("projection panicked", "err", err, "retry_in", wait, "stack", string(panicked.Stack))
	case errors.As(err, &stopped):
		p.logger.Error("projection cannot apply an event", "err", err, "retry_in", wait)
	default:
		p.logger.Warn("projection interrupted", "err", err, "retry_in", wait)
	}
}

// loaded notes the checkpoint that an attempt found, for operators to see
// where the view stands even if it cannot be served.
func (p *projection) loaded(c Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view == nil {
		p.stored = c
	}
}

// resumed notes the checkpoint that an attempt begins with, and that the view
// can be read. What ended the attempt before is forgotten only when this one gets
// further: a store that refuses each write is named all the time.
func (p *projection) resumed(v View, c Checkpoint, head store.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view, p.stored, p.covered, p.head = v, c, c.Position, head
	p.unserved = nil
	if head > c.Position {
		p.state = StateCatchingUp
		p.progress.begin(time.Now(), c)
	} else {
		p.state, p.err = StateLive, nil
		p.progress.caughtUp()
	}
	p.waiters.reached(p.covered)
}

// committed notes a checkpoint that can be read, made from so many commits,
// and how many the log held beyond it.
func (p *projection) committed(c Checkpoint, commits, left uint64, live bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress.applied(commits, c.Events-p.stored.Events)
	p.stored = c
	p.head = max(p.head, c.Position)
	p.cover(c.Position)
	p.look(left, live)
}

// looked notes that the log held so many commits beyond the checkpoint.
func (p *projection) looked(left uint64, live bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(left, live)
}

func (p *projection) look(left uint64, live bool) {
	now := time.Now()
	p.err = nil
	if live {
		p.liveWith(left, now)
		return
	}
	if p.state != StateCatchingUp {
		p.state = StateCatchingUp
		p.progress.begin(now, p.stored)
	}
	p.progress.note(p.stored, left)
	if attrs := p.progress.report(now, p.stored); attrs != nil {
		p.logger.Info("projection catching up", attrs...)
	}
}

func (p *projection) liveWith(left uint64, now time.Time) {
	if p.state == StateCatchingUp {
		if attrs := p.progress.summary(now, p.stored); attrs != nil {
			p.logger.Info("projection caught up", attrs...)
		}
	}
	p.state = StateLive
	p.progress.caughtUp()
	if left > 0 {
		p.progress.note(p.stored, left)
	}
}

// cover notes that all events up to position that concern the view are in it.
func (p *projection) cover(position store.Position) {
	if position > p.covered {
		p.covered = position
		p.waiters.reached(position)
	}
}
