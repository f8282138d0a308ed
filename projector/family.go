package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
)

// family is all models of one view in this group: which of them there are,
// which is served, and who waits until one is. What is below mu is guarded by it;
// a projection's lock may be taken while it is held, never the other way round.
type family struct {
	cfg    Config
	name   string
	defs   map[int]Definition // by version
	newest int                // highest version among them
	logger *slog.Logger
	meter  meter

	kicked   chan struct{} // wakes the manager; holds one
	word     word          // the registry's, as outposts follow it
	outposts []*outpost    // one for each worker that may be given to this group by itself

	mu       sync.Mutex
	away     bool          // the view is assigned elsewhere, or does not run yet
	finished bool          // the group has ended
	idle     chan struct{} // closed when the view does not run any more; nil before it ran
	waiting  int           // callers that wait until a model is served
	changed  chan struct{} // closed at the next change of what follows; nil while nobody waits for it
	served
}

// served is what is known of a view that runs here, since it came.
type served struct {
	heard    bool // the registry was asked
	entry    Entry
	revision uint64
	models   map[Model]*projection
	running  map[Model]mode
	halted   map[Model]int // how many want the model not to run
	err      error         // why nothing is served yet
	refusal  error         // why nothing is served at all

	news         Entry // heard of before the registry was asked
	newsRevision uint64

	live    *projection
	flips   int            // how often another model became the live one
	floored bool           // floor is known
	floor   store.Position // what readers may have seen of the one before
	settled bool           // live was seen to cover it
}

func newFamily(cfg Config, name string) *family {
	return &family{
		cfg: cfg, name: name, defs: map[int]Definition{}, kicked: make(chan struct{}, 1),
		logger: cfg.Logger.With("projection", name), away: cfg.Assigned != nil,
		word: word{changed: make(chan struct{})},
	}
}

func (f *family) add(def Definition) {
	version := def.Describe().Version
	f.defs[version] = def
	f.newest = max(f.newest, version)
	if !f.cfg.Spread {
		return
	}
	for nth := 1; nth < def.Describe().Workers; nth++ {
		f.outposts = append(f.outposts, newOutpost(f, version, nth))
	}
}

// kick wakes the manager.
func (f *family) kick() {
	select {
	case f.kicked <- struct{}{}:
	default:
	}
}

// broadcast tells everybody that something changed. It is called with the lock
// held.
func (f *family) broadcast() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
	f.kick()
}

// changes returns a channel that is closed at the next change. It is called with
// the lock held.
func (f *family) changes() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

func (f *family) elsewhere() error { return fmt.Errorf("view %s: %w", f.name, ErrElsewhere) }

// hear takes in what is said of the registry. That may be late: until the
// manager has asked it, since the view came here, it is only kept in mind.
func (f *family) hear(e Entry, revision uint64) {
	f.word.hear(e, revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.away:
	case f.heard:
		f.take(e, revision)
	case revision > f.newsRevision:
		f.news, f.newsRevision = e, revision
	}
}

// observe takes in what the registry answered the manager, and what was heard of
// meanwhile.
func (f *family) observe(e Entry, revision uint64) {
	f.word.hear(e, revision)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return
	}
	f.take(e, revision)
	if f.newsRevision > 0 {
		f.take(f.news, f.newsRevision)
		f.news, f.newsRevision = Entry{}, 0
	}
}

// take takes in an entry if it is news.
func (f *family) take(e Entry, revision uint64) {
	if f.heard && revision <= f.revision {
		return
	}
	again := e.Settling && !f.entry.Settling
	f.heard, f.entry, f.revision, f.err = true, e, revision, nil
	if e.Live.View == "" {
		f.kick()
		return
	}
	f.refusal = nil
	if f.defs[e.Live.Version] == nil && f.newest < e.Live.Version {
		f.refusal = fmt.Errorf("%w: its version %d is not known here", f.elsewhere(), e.Live.Version)
	}
	for _, k := range e.models() {
		if f.models[k.Model] == nil {
			f.models[k.Model] = f.projection(k)
		}
	}
	for _, k := range e.models() {
		f.models[k.Model].hold(e.Paused)
	}
	f.flip(f.models[e.Live.Model], again)
	f.broadcast()
}

func (f *family) projection(k Kept) *projection {
	p := newProjection(f.cfg, f.defs[k.Version], k)
	p.meter, p.needed, p.onLive = f.meter, f.needed, f.kick
	if f.cfg.Spread {
		p.confirm = f.confirm
	}
	return p
}

// flip makes p the one that is served. From here on no read is answered by the
// one before: who waits for that begins again here, and who has just read it,
// too. What they may have seen of it is asked for afterwards, so it is not less.
func (f *family) flip(p *projection, settling bool) {
	if f.live == p && !settling {
		return
	}
	was := f.live
	f.live, f.floor, f.floored, f.settled = p, 0, !settling && was == nil, false
	f.flips++
	p.enter()
	if was != nil && was != p {
		was.leave(errMoved)
		f.logger.Info("view switched", "model", p.model.String(), "from", was.model.String())
	}
}

// needed returns nil if the registry, asked now, names the model.
func (f *family) needed(ctx context.Context, m Model) error {
	_, err := f.named(ctx, m)
	return err
}

// confirm returns nil if the registry, asked now, has the model brought up to date.
func (f *family) confirm(ctx context.Context, m Model) error {
	e, err := f.named(ctx, m)
	if err == nil && e.Paused {
		err = f.errorf(ErrPaused)
	}
	return err
}

// named returns the entry, asked for now, that names the model.
func (f *family) named(ctx context.Context, m Model) (Entry, error) {
	e, revision, err := f.cfg.Registry.Load(ctx, f.name)
	if err != nil {
		return e, err
	}
	f.hear(e, revision)
	if e.role(m) == "" {
		return e, fmt.Errorf("model %s: %w", m, errDropped)
	}
	return e, nil
}

var (
	// errMoved: another model became the live one.
	errMoved = errors.New("another model is served")
	// errDropped: the registry does not name the model any more.
	errDropped = errors.New("model is not needed any more")
)

// read calls ask with the live model, once that covers min. If another model
// became the live one meanwhile, it asks that, too, and forgets what it had.
func (f *family) read(ctx context.Context, min store.Position, ask func(p *projection, v View, since []Checkpoint) error) error {
	for {
		p, v, since, err := f.at(ctx, min)
		if err != nil {
			return err
		}
		err = ask(p, v, since)
		switch here := f.serves(p.model); {
		case err != nil && !f.cfg.assigned(f.name):
			return f.elsewhere()
		case here:
			return err
		case ctx.Err() != nil: // what was answered is not to be seen any more
			return cmp.Or(err, error(&TimeoutError{View: f.name, Want: min, Reason: errMoved, Cause: ctx.Err()}))
		}
	}
}

// serves reports whether no other model than m is served here.
func (f *family) serves(m Model) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live == nil || f.live.model == m
}

// at waits until the live model covers want, and returns it.
func (f *family) at(ctx context.Context, want store.Position) (*projection, View, []Checkpoint, error) {
	for {
		p, floor, err := f.await(ctx, want)
		if err != nil {
			return nil, nil, nil, err
		}
		v, since, err := p.at(ctx, max(want, floor))
		if errors.Is(err, errMoved) {
			continue
		}
		return p, v, since, f.rebuilding(err)
	}
}

// await waits until a model is served, and returns it and the position before
// which it must not be read.
func (f *family) await(ctx context.Context, want store.Position) (*projection, store.Position, error) {
	for waits := false; ; waits = true {
		f.mu.Lock()
		if waits {
			f.waiting--
		}
		p, err := f.ready()
		if err == nil && p == nil && f.waiting >= f.cfg.MaxWaiters {
			err = ErrBusy
		}
		if p != nil || err != nil {
			floor := f.floor
			f.mu.Unlock()
			return p, floor, err
		}
		f.waiting++
		changed, reason := f.changes(), f.err
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			f.mu.Lock()
			f.waiting--
			f.mu.Unlock()
			return nil, 0, f.rebuilding(&TimeoutError{View: f.name, Want: want, Reason: reason, Cause: ctx.Err()})
		}
	}
}

// ready returns the model that is served, nil if it has to be waited for.
func (f *family) ready() (*projection, error) {
	switch {
	case !f.cfg.assigned(f.name):
		return nil, f.elsewhere()
	case !f.away && f.refusal != nil:
		return nil, f.refusal
	case !f.away && f.live != nil && f.floored:
		return f.live, nil
	case f.finished:
		return nil, ErrStopped
	}
	return nil, nil
}

// rebuilding tells a caller whose time is up that the view is built again.
func (f *family) rebuilding(err error) error {
	var timeout *TimeoutError
	if !errors.As(err, &timeout) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.entry.inPlace() {
		return err
	}
	return &RebuildingError{Model: f.entry.Live.Model, Has: timeout.Has, Cause: timeout.Cause}
}

// current returns the entry as it is known here, once it is.
func (f *family) current(ctx context.Context) (Entry, uint64, error) {
	for {
		f.mu.Lock()
		e, revision, heard := f.entry, f.revision, f.heard && f.entry.Live.View != ""
		changed, reason, here := f.changes(), f.err, !f.away && f.cfg.assigned(f.name)
		finished := f.finished
		f.mu.Unlock()
		switch {
		case finished:
			return Entry{}, 0, ErrStopped
		case !here:
			return Entry{}, 0, f.elsewhere()
		case heard:
			return e, revision, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Entry{}, 0, &TimeoutError{View: f.name, Reason: reason, Cause: ctx.Err()}
		}
	}
}

// all returns the models, the live one first.
func (f *family) all() []*projection {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*projection
	for _, k := range f.entry.models() {
		if p := f.models[k.Model]; p != nil {
			all = append(all, p)
		}
	}
	return all
}

// kept returns what the registry is to know of a model of that version.
func (f *family) kept(version, build int) Kept {
	d := f.defs[version].Describe()
	return Kept{
		Model: Model{View: d.Name, Version: version, Build: build}, Types: d.Types, Workers: d.Workers, Kind: string(d.kind), From: d.from,
		Indexes: slices.Clone(d.indexes), Tables: slices.Clone(d.tables),
	}
}
