package projector

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// Group runs projections and answers questions to their views. All methods
// may be called from many goroutines, before, during and after Run.
type Group struct {
	cfg      Config
	metrics  *metrics
	families []*family
	byName   map[string]*family
	pasts    chan struct{} // held while a document of the past is folded
	started  sync.Once
}

// NewGroup checks the configuration. It starts nothing.
func NewGroup(cfg Config) (*Group, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Keyring != nil {
		cfg.Store = NewSealed(cfg.Store, cfg.Keyring)
	}
	g := &Group{cfg: cfg, byName: map[string]*family{}, pasts: make(chan struct{}, maxPasts)}
	for _, def := range cfg.Projections {
		name := def.Describe().Name
		if g.byName[name] == nil {
			f := newFamily(cfg, name)
			g.families = append(g.families, f)
			g.byName[name] = f
		}
		g.byName[name].add(def)
	}
	g.metrics = newMetrics(g.families)
	if err := g.metrics.register(cfg.Registerer); err != nil {
		return nil, err
	}
	return g, nil
}

// Run brings the views that are assigned here up to date and keeps them so
// until ctx ends or they are assigned elsewhere; then it writes what is folded.
// It returns nil when ctx has ended and all of them have stopped. It is called
// once; a second call is refused.
func (g *Group) Run(ctx context.Context) error {
	first := false
	g.started.Do(func() { first = true })
	if !first {
		return fmt.Errorf("run projections: %w", ErrStopped)
	}
	var running sync.WaitGroup
	running.Go(func() { g.watch(ctx) })
	for _, f := range g.families {
		running.Go(func() { f.serve(ctx) })
		for _, o := range f.outposts {
			running.Go(func() { o.serve(ctx) })
		}
	}
	running.Wait()
	return nil
}

// watch tells the views what changes in the registry.
func (g *Group) watch(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := g.cfg.Registry.Watch(ctx, func(view string, e Entry, revision uint64) {
			if f := g.byName[view]; f != nil {
				f.hear(e, revision)
			}
		})
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longRun {
			failures = 1
		}
		wait := jittered(50*time.Millisecond, 5*time.Second, failures)
		g.cfg.Logger.Warn("registry of views cannot be watched", "err", err, "retry_in", wait)
		pause(ctx, wait)
	}
}

// Get returns the document under key, as it is after the event at min or
// later: it waits for the view to come so far, until ctx ends. With min 0 it
// does not wait for the view once that is open.
//
// Errors: those of [Group.Wait], [store.ErrInvalid] or [store.ErrTooLarge] for
// a key that no document can have, [store.ErrNotFound], [store.ErrUnavailable],
// [ErrNoDocuments] for a view that answers no such question. An SQL view answers
// with its own Get; the position is then how far the view was.
func (g *Group) Get(ctx context.Context, view, key string, min store.Position) (Document, error) {
	f, err := g.family(view)
	if err != nil {
		return Document{}, err
	}
	if _, err := store.EncodeToken(key); err != nil {
		return Document{}, err
	}
	var doc Document
	err = f.read(ctx, min, func(p *projection, v View, since []Checkpoint) (err error) {
		doc, err = p.answer(ctx, v, key, since)
		return err
	})
	return doc, err
}

// List returns a page of documents in the order of their last change, as they
// are after the event at min or later, and the cursor of the next page: ""
// begins, "" ends. A document that changes between pages may come again, none
// is missed. After another model of the view became the live one a cursor begins
// again. A page may be short, even empty, without being the last. limit
// is cut to [MaxPage]; 0 or less means 500.
//
// Errors: those of [Group.Wait], [store.ErrInvalid] for a foreign cursor,
// [ErrNoDocuments] for a view that is none of documents, [store.ErrUnavailable].
func (g *Group) List(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []Document, next string, err error) {
	f, err := g.family(view)
	if err != nil {
		return nil, "", err
	}
	of, inner, err := parseCursor(view, cursor)
	if err != nil {
		return nil, "", err
	}
	err = f.read(ctx, min, func(p *projection, v View, since []Checkpoint) (err error) {
		m := p.model
		if p.desc.kind != ofDocuments {
			return fmt.Errorf("list view %s: %w", view, ErrNoDocuments)
		}
		if of != m {
			inner = "" // of a model that was served before: from the beginning
		}
		docs, next, err = v.List(ctx, inner, pageSize(limit), since...)
		next = cursorOf(p.model, next)
		return err
	})
	return docs, next, err
}

// cursorOf makes a model's cursor one of the view: a cursor means nothing to
// another model.
func cursorOf(m Model, inner string) string {
	if inner == "" {
		return ""
	}
	return fmt.Sprintf("%d.%d.%s", m.Version, m.Build, inner)
}

func parseCursor(view, cursor string) (Model, string, error) {
	if cursor == "" {
		return Model{}, "", nil
	}
	m := Model{View: view}
	parts := strings.SplitN(cursor, ".", 3)
	if len(parts) == 3 {
		var err1, err2 error
		m.Version, err1 = strconv.Atoi(parts[0])
		m.Build, err2 = strconv.Atoi(parts[1])
		if err1 == nil && err2 == nil && parts[2] != "" {
			return m, parts[2], nil
		}
	}
	return Model{}, "", &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
}

func pageSize(limit int) int {
	const usual = 500
	if limit <= 0 {
		return usual
	}
	return min(limit, MaxPage)
}

// Wait returns nil once every event of the log up to position p that concerns
// the view is in it and can be read. p may be the position of any event, also
// of one that the view does not follow. Errors:
//   - [ErrNoView]: there is no such view.
//   - [ErrElsewhere]: the view does not run here, or ceased to while it was waited for.
//   - [ErrTimeout] ([*TimeoutError]): ctx ended first. Nothing else bounds the wait.
//   - [store.ErrAhead]: the view is ahead of the log and is not served.
//   - [store.ErrInvalid]: p has been beyond the log's end for a second: it is not
//     from this log, or from before the log lost its end.
//   - [ErrBusy]: [Config.MaxWaiters] wait already.
//   - [ErrRebuilding] ([*RebuildingError]): ctx ended first, and the view is being
//     built again in place.
//   - [ErrPaused]: the view is paused, and not that far.
//   - [ErrStopped]: Run has ended.
func (g *Group) Wait(ctx context.Context, view string, p store.Position) error {
	f, err := g.family(view)
	if err != nil {
		return err
	}
	_, _, _, err = f.at(ctx, p)
	return err
}

// WaitAll waits for each of the views as [Group.Wait] does, and returns the
// first error in the order of the views: nil only if all of them are that far.
func (g *Group) WaitAll(ctx context.Context, p store.Position, views ...string) error {
	errs := make([]error, len(views))
	var waiting sync.WaitGroup
	for i, view := range views {
		waiting.Go(func() { errs[i] = g.Wait(ctx, view, p) })
	}
	waiting.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Stopped returns nil when a duty, the view's name or the [Duty] of a worker, is not
// done here, or not any more: what was folded is written then, unless that failed or
// took longer than [Config.CommitTimeout], and this group writes no more until it is
// assigned again. It is for handing over: withdraw the duty, wait, let the next
// one begin. Other errors than [ErrNoView] are those of ctx.
func (g *Group) Stopped(ctx context.Context, duty string) error {
	for _, f := range g.families {
		for _, o := range f.outposts {
			if o.duty == duty {
				return o.stopped(ctx)
			}
		}
	}
	f, err := g.family(duty)
	if err != nil {
		return err
	}
	return f.stopped(ctx)
}

// Status returns how each model stands, by views in the order of the
// configuration, the live model of a view first. Where the log cannot be asked
// in time, Head is the last that was known. Of a view that does not run here, or
// whose models are not known yet, there is one element that tells no more than
// that.
func (g *Group) Status(ctx context.Context) []Status {
	each := make([][]Status, len(g.families))
	var asking sync.WaitGroup
	for i, f := range g.families {
		asking.Go(func() { each[i] = f.status(ctx) })
	}
	asking.Wait()
	return slices.Concat(each...)
}

func (g *Group) family(view string) (*family, error) {
	f := g.byName[view]
	if f == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoView, view)
	}
	return f, nil
}
