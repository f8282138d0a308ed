package projector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// manager runs the models of a view while the view is here. It compares what
// the registry says with what is, and brings the one closer to the other; so it
// does not matter who began a change, or whether that one is still there.
type manager struct {
	f       *family
	running map[Model]*runner

	mu    sync.Mutex
	tasks map[string]bool // what goes on beside
	ends  sync.WaitGroup
}

// runner is one model that runs.
type runner struct {
	mode mode
	stop context.CancelFunc
	done chan struct{}
}

// mode is how a model runs.
type mode int

const (
	rests    mode = iota
	attends       // it is read as it is stored
	advances      // it is brought up to date
)

// manage runs the view until ctx ends, or until it finds that the view is not
// assigned here any more.
func (f *family) manage(ctx context.Context) {
	m := &manager{f: f, running: map[Model]*runner{}, tasks: map[string]bool{}}
	ctx, stop := context.WithCancel(ctx)
	m.ends.Go(func() { f.sample(ctx) })
	m.ends.Go(func() { f.names(ctx) })
	for failures := 0; ctx.Err() == nil && f.cfg.assigned(f.name); {
		var again time.Duration
		if err := m.step(ctx); err != nil && ctx.Err() == nil {
			failures++
			again = jittered(50*time.Millisecond, 5*time.Second, failures)
			f.failed(err, again)
		} else {
			failures = 0
		}
		f.idleFor(ctx, again)
	}
	stop()
	for _, r := range m.running {
		<-r.done
	}
	m.ends.Wait()
}

// idleFor waits until something may have changed, and no longer than d if that
// is not 0.
func (f *family) idleFor(ctx context.Context, d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-f.kicked:
	case <-over:
	case <-ctx.Done():
	}
}

// failed notes why the registry or a model could not be brought further. What
// runs goes on.
func (f *family) failed(err error, again time.Duration) {
	f.logger.Warn("models of a view could not be managed", "err", err, "retry_in", again)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// step does what there is to be done.
func (m *manager) step(ctx context.Context) error {
	e, err := m.find(ctx)
	if err != nil {
		return err
	}
	m.reconcile(ctx, e)
	if m.f.succeeds(e) {
		if err := m.succeed(ctx, e); err != nil && !errors.Is(err, errNothing) {
			return err
		}
		return nil
	}
	m.look(ctx, e)
	if err := m.f.change(ctx, m.f.advance); err != nil && !errors.Is(err, errNothing) {
		return err
	}
	return m.drop(ctx)
}

// find returns the view's entry. The first time it asks the registry, and makes
// the entry if there is none: then the newest version is live at once.
func (m *manager) find(ctx context.Context) (Entry, error) {
	f := m.f
	f.mu.Lock()
	e := f.entry
	f.mu.Unlock()
	if e.Live.View != "" {
		return e, nil
	}
	e, revision, err := f.cfg.Registry.Load(ctx, f.name)
	if err != nil {
		return Entry{}, err
	}
	if e.Live.View == "" {
		e = Entry{Live: f.kept(f.newest, 0), Builds: map[int]int{f.newest: 0}}
		revision, err = f.cfg.Registry.Store(ctx, f.name, e, revision)
	}
	if errors.Is(err, ErrChanged) || errors.Is(err, store.ErrUnknown) {
		e, revision, err = f.cfg.Registry.Load(ctx, f.name)
	}
	if err == nil && e.Live.View == "" {
		err = fmt.Errorf("registry has no live model of view %s: %w", f.name, store.ErrUnavailable)
	}
	if err != nil {
		return Entry{}, err
	}
	f.observe(e, revision)
	return e, nil
}

// reconcile ends what is not to run any more, and begins what is.
func (m *manager) reconcile(ctx context.Context, e Entry) {
	var ending []Model
	for model, r := range m.running {
		if m.f.mode(e, model) != r.mode || r.ended() {
			r.stop()
			ending = append(ending, model)
		}
	}
	for _, model := range ending {
		<-m.running[model].done
		delete(m.running, model)
	}
	for _, k := range e.models() {
		mode := m.f.mode(e, k.Model)
		p := m.f.model(k.Model)
		if p == nil {
			continue // the entry has changed since
		}
		p.hold(e.Paused)
		if mode != rests && m.running[k.Model] == nil {
			m.start(ctx, p, mode)
		}
	}
	m.publish(e)
}

func (r *runner) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (m *manager) start(ctx context.Context, p *projection, mode mode) {
	ctx, stop := context.WithCancel(ctx)
	r := &runner{mode: mode, stop: stop, done: make(chan struct{})}
	m.running[p.model] = r
	go func() {
		defer m.f.kick()
		defer close(r.done)
		defer stop()
		if mode == advances {
			p.run(ctx)
		} else {
			p.attend(ctx)
		}
	}()
}

// publish tells what runs, and forgets the models that are not needed.
func (m *manager) publish(e Entry) {
	f := m.f
	f.mu.Lock()
	defer f.mu.Unlock()
	running := map[Model]mode{}
	for model, r := range m.running {
		running[model] = r.mode
	}
	if !maps.Equal(running, f.running) {
		f.running = running
		f.broadcast()
	}
	for model := range f.models {
		if f.entry.role(model) == "" && e.role(model) == "" {
			f.models[model].leave(f.errorf(errDropped))
			delete(f.models, model)
		}
	}
}

func (f *family) model(m Model) *projection {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.models[m]
}

// mode returns how a model is to run here.
func (f *family) mode(e Entry, m Model) mode {
	f.mu.Lock()
	defer f.mu.Unlock()
	role := e.role(m)
	switch {
	case role == "", f.halted[m] > 0, f.succeeds(e):
		return rests
	case f.moves(e, m):
		return advances
	case role == RoleLive && f.refusal == nil:
		return attends
	}
	return rests
}

// moves reports whether the model is to be brought up to date by whoever has its
// definition, which is to be asked of no model that is succeeded by another.
func (f *family) moves(e Entry, m Model) bool {
	role, known := e.role(m), f.defs[m.Version] != nil
	return role != "" && known && !e.Paused && (role != RolePrevious || !e.inPlace())
}

// drop removes models that nobody needs. The registry names them until they are
// gone, so that whoever runs the view next knows of them.
func (m *manager) drop(ctx context.Context) error {
	f := m.f
	f.mu.Lock()
	dropping := f.entry.Dropping
	f.mu.Unlock()
	for _, model := range dropping {
		if m.running[model] != nil {
			f.kick() // it is ended first
			continue
		}
		if err := f.cfg.Store.Drop(ctx, model); err != nil {
			return fmt.Errorf("drop model %s: %w", model, err)
		}
		if err := f.change(ctx, func(e Entry) (Entry, error) { return e.dropped(model) }); err != nil && !errors.Is(err, errNothing) {
			return err
		}
		f.logger.Info("model dropped", "model", model.String())
	}
	return nil
}

// beside runs task beside the manager unless it runs already, and has the
// manager look again when it has ended.
func (m *manager) beside(key string, task func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[key] {
		return
	}
	m.tasks[key] = true
	m.ends.Go(func() {
		task()
		m.mu.Lock()
		delete(m.tasks, key)
		m.mu.Unlock()
		m.f.kick()
	})
}
