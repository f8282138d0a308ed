package projector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// outpost does the work of one worker of a view, for one version, in a group that
// need not be the view's home: the home, worker 0's group, says in the registry what
// there is to do, and reads what the outpost stores. The two do not talk.
type outpost struct {
	f       *family
	version int
	nth     int
	duty    string
	kicked  chan struct{} // a worker has ended; holds one

	mu      sync.Mutex
	idle    chan struct{}         // closed when nothing runs any more; nil before something ran
	running map[Model]*projection // of which the one worker runs here
	stops   map[Model]*runner
}

func newOutpost(f *family, version, nth int) *outpost {
	return &outpost{
		f: f, version: version, nth: nth, duty: Duty(f.name, version, nth), kicked: make(chan struct{}, 1),
		running: map[Model]*projection{}, stops: map[Model]*runner{},
	}
}

// serve works whenever the duty is assigned here, until ctx ends.
func (o *outpost) serve(ctx context.Context) {
	for ctx.Err() == nil {
		changed := o.f.cfg.reassigned()
		if o.arrive() {
			o.stay(ctx, changed)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// arrive asks whether the duty is assigned here, and notes that it is done if so,
// under one lock, as [family.arrive] does.
func (o *outpost) arrive() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.f.cfg.assigned(o.duty) {
		return false
	}
	o.idle = make(chan struct{})
	return true
}

// stay works until ctx ends or the duty is assigned elsewhere, and returns when
// all is written.
func (o *outpost) stay(ctx context.Context, changed <-chan struct{}) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	idle := o.idle
	go func() {
		defer close(idle)
		o.follow(running)
	}()
	for o.f.cfg.assigned(o.duty) {
		select {
		case <-changed:
			changed = o.f.cfg.reassigned()
			continue
		case <-ctx.Done():
		case <-idle:
		}
		break
	}
	stop()
	<-idle
}

// follow has those models brought up to date that the registry is heard to want.
func (o *outpost) follow(ctx context.Context) {
	for ctx.Err() == nil && o.f.cfg.assigned(o.duty) {
		e, changed := o.f.word.last()
		o.reconcile(ctx, e)
		select {
		case <-changed:
		case <-o.kicked:
		case <-ctx.Done():
		}
	}
	o.reconcile(ctx, Entry{})
}

// reconcile ends what is not wanted any more, and begins what is.
func (o *outpost) reconcile(ctx context.Context, e Entry) {
	wanted := map[Model]Kept{}
	for _, k := range e.models() {
		if o.wants(e, k) {
			wanted[k.Model] = k
		}
	}
	for m, r := range o.stops {
		if _, ok := wanted[m]; ok && !r.ended() {
			continue
		}
		r.stop()
		<-r.done
		o.forget(m)
	}
	for m, k := range wanted {
		if o.stops[m] == nil {
			o.start(ctx, k)
		}
	}
}

// wants reports whether there is work on the model. One that is shared by another
// number of workers is left to those who know it so: a group with another definition
// of the version would begin parts that overlap.
func (o *outpost) wants(e Entry, k Kept) bool {
	return k.Version == o.version && max(k.Workers, 1) == o.f.defs[o.version].Describe().Workers &&
		o.f.moves(e, k.Model) && !o.f.succeeds(e)
}

func (o *outpost) start(ctx context.Context, k Kept) {
	f := o.f
	p := newProjection(f.cfg, f.defs[k.Version], k)
	p.meter, p.needed, p.confirm = f.meter, f.needed, o.confirm
	p.changes.deaf = true // who watches does so at the view's home
	ctx, stop := context.WithCancel(ctx)
	r := &runner{mode: advances, stop: stop, done: make(chan struct{})}
	o.mu.Lock()
	o.running[k.Model], o.stops[k.Model] = p, r
	o.mu.Unlock()
	go func() {
		defer o.kick()
		defer close(r.done)
		defer stop()
		p.workers[o.nth].run(ctx)
		p.dissolve(f.elsewhere())
	}()
}

// confirm returns nil if the registry, asked now, wants the model brought up to date
// here.
func (o *outpost) confirm(ctx context.Context, m Model) error {
	e, err := o.f.named(ctx, m)
	if err != nil {
		return err
	}
	for _, k := range e.models() {
		if k.Model == m && o.wants(e, k) {
			return nil
		}
	}
	return fmt.Errorf("model %s: %w", m, errRests)
}

// errRests: the registry wants the model left as it is.
var errRests = errors.New("model is not brought up to date now")

func (o *outpost) kick() {
	select {
	case o.kicked <- struct{}{}:
	default:
	}
}

func (o *outpost) forget(m Model) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.running, m)
	delete(o.stops, m)
}

// stopped returns nil when nothing is written here any more.
func (o *outpost) stopped(ctx context.Context) error {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	return awaitEnd(ctx, o.duty, idle)
}

// letter finds the one of that id, nil if it is not of this worker.
func (o *outpost) letter(ctx context.Context, id string) (found *addressed, err error) {
	o.mu.Lock()
	running := slices.Collect(maps.Values(o.running))
	o.mu.Unlock()
	for _, p := range running {
		err := p.consult(ctx, p.workers[o.nth:o.nth+1], func(w *worker, m remembered) {
			if l := m.byID(id); l != nil {
				found = &addressed{w, *l}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// word is what the registry last said of a view, for those who follow it whether or
// not the view is at home here.
type word struct {
	mu       sync.Mutex
	entry    Entry
	revision uint64
	changed  chan struct{} // closed at the next change
}

func (w *word) hear(e Entry, revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision <= w.revision {
		return
	}
	w.entry, w.revision = e, revision
	close(w.changed)
	w.changed = make(chan struct{})
}

// last returns the entry, and a channel that is closed at the next change.
func (w *word) last() (Entry, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entry, w.changed
}
