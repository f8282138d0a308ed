package projector

import (
	"context"
	"errors"
	"fmt"
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
	// StatePaused: it is not brought up to date, because somebody said so.
	StatePaused = "paused"
	// StateStored: its definition is not in this process, which answers with what
	// others have brought it to.
	StateStored = "stored"
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
	def     Definition // nil if it is not in this process: the model can be read, and no more
	desc    Description
	model   Model
	feed    string // what the names of its feeds begin with; empty: they have none
	logger  *slog.Logger
	meter   meter
	changes *hub // of the documents, for those who watch
	box     box  // seals and opens them
	workers []*worker
	needed  func(context.Context, Model) error // see open; nil: it is needed
	confirm func(context.Context, Model) error // asked by an attempt once it knows its checkpoint, see [run.load]; nil: it may go on
	sought  chan struct{}                      // wakes who reads what is stored: somebody waits; holds one
	onLive  func()                             // called, with the lock held, when it has caught up; may be nil

	probing sync.Mutex // held by the one who asks the log on behalf of all waiters

	mu       sync.Mutex
	gone     error // why it is not read here, nil while it may be
	finished bool  // the group has ended
	ended    error // why nobody obeys orders any more, nil while somebody may
	held     bool  // it is not brought up to date: its view is paused
	passive  bool  // it is read as others left it
	caught   bool  // all workers were live when that was last looked at
	waiters  waiters
	trend    trend
	missing  missing
}

// newProjection returns the runner of a model; def may be nil.
func newProjection(cfg Config, def Definition, kept Kept) *projection {
	p := &projection{
		cfg:    cfg,
		def:    def,
		desc:   kept.description(),
		model:  kept.Model,
		feed:   kept.String(),
		logger: cfg.Logger.With("projection", kept.View, "version", kept.Version),
		sought: make(chan struct{}, 1),
	}
	if def != nil {
		p.desc = def.Describe()
	}
	if kept.Build > 0 {
		p.logger = p.logger.With("build", kept.Build)
	}
	for nth := range p.desc.Workers {
		p.workers = append(p.workers, newWorker(p, nth, p.desc.Workers))
	}
	p.box = box{keys: cfg.Keyring, view: p.desc.Name}
	p.changes = newHub(len(p.workers))
	p.changes.box = p.box
	return p
}

// description is what the definition would say of itself if it were here.
func (k Kept) description() Description {
	return Description{
		Name: k.View, Version: k.Version, Types: k.Types, Workers: max(k.Workers, 1), kind: kind(k.Kind), from: k.From, indexes: k.Indexes, tables: k.Tables,
	}
}

// open opens the model. Opening creates it, so the registry is asked first whether
// somebody needs it, and again afterwards: if not any more, it is dropped again, for
// who dropped it meanwhile has done.
func (p *projection) open(ctx context.Context) (View, error) {
	if p.needed == nil {
		return p.cfg.Store.Open(ctx, p.desc.layout(p.model))
	}
	if err := p.needed(ctx, p.model); err != nil {
		return nil, err
	}
	v, err := p.cfg.Store.Open(ctx, p.desc.layout(p.model))
	if err != nil {
		return nil, err
	}
	err = p.needed(ctx, p.model)
	if errors.Is(err, errDropped) {
		return nil, errors.Join(err, p.cfg.Store.Drop(ctx, p.model))
	}
	return v, err
}

// enter lets callers read and wait.
func (p *projection) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = nil
	p.changes.end(nil)
}

// leave sends away who waits, and who comes. Operators may still have something
// to say to a model that is only not served any more.
func (p *projection) leave(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = why
	p.waiters.fail(why)
	p.changes.end(watchEnd(why))
	if !errors.Is(why, errMoved) {
		p.dismiss(why)
	}
}

// finish notes that the group has ended: what is there may still be read.
func (p *projection) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	p.waiters.fail(ErrStopped)
	p.changes.end(ErrStopped)
	p.dismiss(ErrStopped)
}

// hold says whether the model is brought up to date at all.
func (p *projection) hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	if held {
		p.dismiss(fmt.Errorf("view %s: %w", p.desc.Name, ErrPaused))
	}
}

// noted tells who waits for it that the model has caught up. It is called with
// the lock held whenever a worker's state may have changed.
func (p *projection) noted() {
	was := p.caught
	p.caught = p.isOpen() && p.state() == StateLive
	if p.caught && !was && p.onLive != nil {
		p.onLive()
	}
}

// caughtUp reports whether the model has all that there was.
func (p *projection) caughtUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.caught
}

// run keeps the model up to date until ctx ends, or until one of the workers
// finds that the view is not assigned here any more.
func (p *projection) run(ctx context.Context) {
	p.mu.Lock()
	p.passive = false
	p.mu.Unlock()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	for _, w := range p.workers {
		if w.remote() {
			continue
		}
		running.Go(func() {
			defer stop()
			w.run(ctx)
		})
	}
	if away := p.away(); len(away) > 0 {
		running.Go(func() { p.watchOver(ctx, away) })
	}
	running.Wait()
}

// dissolve sends away who asked something that nobody is there for any more.
func (p *projection) dissolve(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = why
	p.dismiss(why)
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
		if w.unserved != nil {
			return w.unserved
		}
	}
	return nil
}

// covered is how far the model has all events that concern it.
func (p *projection) covered() store.Position {
	covered := p.workers[0].covered
	for _, w := range p.workers[1:] {
		covered = min(covered, w.covered)
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
	switch {
	case p.finished:
		return StateStopped
	case p.held:
		return StatePaused
	}
	for _, state := range []string{StateFailed, StateStarting, StateCatchingUp} {
		for _, w := range p.workers {
			if w.state == state {
				return state
			}
		}
	}
	if p.passive {
		return StateStored
	}
	return StateLive
}

// err is what holds a worker up, nil if nothing does.
func (p *projection) err() error {
	for _, w := range p.workers {
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// head is the last known tip of the followed types.
func (p *projection) head() (head store.Position) {
	for _, w := range p.workers {
		head = max(head, w.head)
	}
	return head
}

// isHeld reports whether the view is paused.
func (p *projection) isHeld() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// sawHead notes how far the log is.
func (p *projection) sawHead(head store.Position) {
	for _, w := range p.workers {
		w.head = max(w.head, head)
	}
}

// rate is how many events a second the slowest of the workers that catch up
// applies.
func (p *projection) rate() (rate float64) {
	for _, w := range p.workers {
		if w.state == StateCatchingUp && (rate == 0 || w.progress.rate < rate) {
			rate = w.progress.rate
		}
	}
	return rate
}

// lag returns how far the worker that is last is behind, as far as known.
func (p *projection) lag(now time.Time) (events uint64, seconds float64) {
	for _, w := range p.workers {
		left, since := w.progress.behind(now)
		if w.head > w.stored.Position {
			left = max(left, 1)
			if w.remote() {
				left, since = p.behindLead(w, left), max(since, ageOf(w.stored.Time, now))
			}
		}
		events, seconds = max(events, left), max(seconds, since)
	}
	if m := p.missing; m.after == p.least().Position && p.head() > m.after && m.commits > 0 {
		left, since := m.behind(now, p.workers[0].progress.perCommit)
		events, seconds = max(events, left), max(seconds, since)
	}
	return events, seconds
}

// ageOf is for how long an event has been there; 0 for none.
func ageOf(event, now time.Time) float64 {
	if event.IsZero() {
		return 0
	}
	return now.Sub(event).Seconds()
}

// behindLead is how many events a worker that is only read is behind the one that has
// come furthest: at one position all workers have counted as many.
func (p *projection) behindLead(w *worker, least uint64) uint64 {
	for _, other := range p.workers {
		if other.stored.Events > w.stored.Events {
			least = max(least, other.stored.Events-w.stored.Events)
		}
	}
	return least
}

// parked is how many streams wait in dead letters.
func (p *projection) parked() (n int) {
	for _, w := range p.workers {
		n += len(w.letters)
	}
	return n
}

// leftOut is how many events were skipped.
func (p *projection) leftOut() (n int) {
	for _, w := range p.workers {
		n += len(w.skipped)
	}
	return n
}
