package projector

import (
	"context"
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

// projection is one read model of a group: its workers and what callers may
// know of it. The fields below mu are guarded by it, and so is what is known of
// each worker.
type projection struct {
	cfg     Config
	def     Definition
	desc    Description
	model   Model
	logger  *slog.Logger
	meter   meter
	workers []*worker

	probing sync.Mutex // held by the one who asks the log on behalf of all waiters

	mu       sync.Mutex
	away     bool          // it is assigned elsewhere: what is known is out of date
	finished bool          // the group has ended
	idle     chan struct{} // closed when it does not run any more; nil before it ran
	waiters  waiters
}

func newProjection(cfg Config, def Definition) *projection {
	desc := def.Describe()
	p := &projection{
		cfg:    cfg,
		def:    def,
		desc:   desc,
		model:  Model{View: desc.Name, Version: desc.Version},
		logger: cfg.Logger.With("projection", desc.Name, "version", desc.Version),
		away:   cfg.Assigned != nil,
	}
	for nth := range desc.Workers {
		p.workers = append(p.workers, newWorker(p, nth, desc.Workers))
	}
	return p
}

// run keeps the model up to date until ctx ends, or until one of the workers
// finds that the view is not assigned here any more.
func (p *projection) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	for _, w := range p.workers {
		running.Go(func() {
			defer stop()
			w.run(ctx)
		})
	}
	running.Wait()
}

// moved wakes those who waited for what all workers cover by now. Like all that
// follows it is called with the lock held.
func (p *projection) moved() {
	if p.isOpen() {
		p.waiters.reached(p.covered())
	}
}

// isOpen reports whether the model can be read.
func (p *projection) isOpen() bool {
	for _, w := range p.workers {
		if w.view == nil {
			return false
		}
	}
	return true
}

// unserved is why the model must not be read, nil if it may be.
func (p *projection) unserved() error {
	for _, w := range p.workers {
		if w.standing.unserved != nil {
			return w.standing.unserved
		}
	}
	return nil
}

// covered is how far the model has all events that concern it.
func (p *projection) covered() store.Position {
	covered := p.workers[0].standing.covered
	for _, w := range p.workers[1:] {
		covered = min(covered, w.standing.covered)
	}
	return covered
}

// since are the checkpoints that readers must see.
func (p *projection) since() []Checkpoint {
	all := make([]Checkpoint, len(p.workers))
	for i, w := range p.workers {
		all[i] = w.stored
	}
	return all
}

// least is the checkpoint of the worker that has come least far.
func (p *projection) least() Checkpoint {
	least := p.workers[0].stored
	for _, w := range p.workers[1:] {
		if w.stored.Position < least.Position {
			least = w.stored
		}
	}
	return least
}

// state is that of the worker that is worst off.
func (p *projection) state() string {
	if p.finished {
		return StateStopped
	}
	for _, state := range []string{StateFailed, StateStarting, StateCatchingUp} {
		for _, w := range p.workers {
			if w.standing.state == state {
				return state
			}
		}
	}
	return StateLive
}

// err is what holds a worker up, nil if nothing does.
func (p *projection) err() error {
	for _, w := range p.workers {
		if w.standing.err != nil {
			return w.standing.err
		}
	}
	return nil
}

// head is the last known tip of the followed types.
func (p *projection) head() (head store.Position) {
	for _, w := range p.workers {
		head = max(head, w.standing.head)
	}
	return head
}

// sawHead notes how far the log is.
func (p *projection) sawHead(head store.Position) {
	for _, w := range p.workers {
		w.standing.head = max(w.standing.head, head)
	}
}

// rate is how many events a second the slowest of the workers that catch up
// applies.
func (p *projection) rate() (rate float64) {
	for _, w := range p.workers {
		if w.standing.state == StateCatchingUp && (rate == 0 || w.progress.rate < rate) {
			rate = w.progress.rate
		}
	}
	return rate
}

// lag returns how far the worker that is last is behind, as far as known.
func (p *projection) lag(now time.Time) (events uint64, seconds float64) {
	for _, w := range p.workers {
		left, since := w.progress.behind(now)
		if w.standing.head > w.stored.Position {
			left = max(left, 1)
		}
		events, seconds = max(events, left), max(seconds, since)
	}
	return events, seconds
}
