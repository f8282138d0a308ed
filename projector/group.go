package projector

import (
	"context"
	"fmt"
	"sync"

	"github.com/annals-go/annals/store"
)

// Group runs projections and answers questions to their views. All methods
// may be called from many goroutines, before, during and after Run.
type Group struct {
	cfg         Config
	metrics     *metrics
	projections []*projection
	byName      map[string]*projection
	started     sync.Once
}

// NewGroup checks the configuration. It starts nothing.
func NewGroup(cfg Config) (*Group, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Group{cfg: cfg, byName: map[string]*projection{}}
	for _, def := range cfg.Projections {
		p := newProjection(cfg, def)
		g.projections = append(g.projections, p)
		g.byName[p.desc.Name] = p
	}
	g.metrics = newMetrics(g.projections)
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
	for _, p := range g.projections {
		running.Go(func() { p.serve(ctx) })
	}
	running.Wait()
	return nil
}

// Get returns the document under key, as it is after the event at min or
// later: it waits for the view to come so far, until ctx ends. With min 0 it
// does not wait for the view once that is open.
//
// Errors: those of [Group.Wait], [store.ErrInvalid] or [store.ErrTooLarge] for
// a key that no document can have, [store.ErrNotFound], [store.ErrUnavailable].
func (g *Group) Get(ctx context.Context, view, key string, min store.Position) (Document, error) {
	p, err := g.projection(view)
	if err != nil {
		return Document{}, err
	}
	if _, err := store.EncodeToken(key); err != nil {
		return Document{}, err
	}
	v, since, err := p.at(ctx, min)
	if err != nil {
		return Document{}, err
	}
	docs, err := v.Get(ctx, []string{key}, since...)
	if err != nil {
		return Document{}, err
	}
	if len(docs) == 0 {
		return Document{}, fmt.Errorf("document %q of view %s: %w", key, view, store.ErrNotFound)
	}
	return docs[0], nil
}

// List returns a page of documents in the order of their last change, as they
// are after the event at min or later, and the cursor of the next page: ""
// begins, "" ends. A document that changes between pages may come again, none
// is missed. A page may be short, even empty, without being the last. limit
// is cut to [MaxPage]; 0 or less means 500.
//
// Errors: those of [Group.Wait], [store.ErrInvalid] for a foreign cursor,
// [store.ErrUnavailable].
func (g *Group) List(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []Document, next string, err error) {
	p, err := g.projection(view)
	if err != nil {
		return nil, "", err
	}
	v, since, err := p.at(ctx, min)
	if err != nil {
		return nil, "", err
	}
	return v.List(ctx, cursor, pageSize(limit), since...)
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
//   - [ErrStopped]: Run has ended.
func (g *Group) Wait(ctx context.Context, view string, p store.Position) error {
	it, err := g.projection(view)
	if err != nil {
		return err
	}
	_, _, err = it.at(ctx, p)
	return err
}

// Stopped returns nil when the view does not run here, or not any more: what it
// had folded is written then, unless that failed or took longer than
// [Config.CommitTimeout], and this group writes no more to it until it is
// assigned again. It is for handing a view over: withdraw it, wait, let the next
// one begin. Other errors than [ErrNoView] are those of ctx.
func (g *Group) Stopped(ctx context.Context, view string) error {
	p, err := g.projection(view)
	if err != nil {
		return err
	}
	return p.stopped(ctx)
}

// Status returns how each projection stands, in the order of the
// configuration. Where the log cannot be asked in time, Head is the last that
// was known. Of a view that does not run here it tells no more than that.
func (g *Group) Status(ctx context.Context) []Status {
	all := make([]Status, len(g.projections))
	var asking sync.WaitGroup
	for i, p := range g.projections {
		asking.Go(func() { all[i] = p.status(ctx) })
	}
	asking.Wait()
	return all
}

func (g *Group) projection(view string) (*projection, error) {
	p := g.byName[view]
	if p == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoView, view)
	}
	return p, nil
}
