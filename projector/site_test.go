package projector_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// shelf is a store that knows which models are in it.
type shelf struct {
	projector.Store
	mu     sync.Mutex
	models map[projector.Model]bool
}

func newShelf(s projector.Store) *shelf { return &shelf{Store: s, models: map[projector.Model]bool{}} }

func (s *shelf) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[layout.Model] = true
	v, err := s.Store.Open(ctx, layout)
	return shelved{v, s, layout.Model}, err
}

// shelved is a view that does not answer any more when it is dropped.
type shelved struct {
	projector.View
	shelf *shelf
	model projector.Model
}

func (v shelved) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	v.shelf.mu.Lock()
	there := v.shelf.models[v.model]
	v.shelf.mu.Unlock()
	if !there {
		return nil, fmt.Errorf("%w: model %s was dropped", store.ErrUnavailable, v.model)
	}
	return v.View.Get(ctx, keys, since...)
}

func (s *shelf) Drop(ctx context.Context, m projector.Model) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.models, m)
	return s.Store.Drop(ctx, m)
}

func (s *shelf) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for m := range s.models {
		names = append(names, m.String())
	}
	slices.Sort(names)
	return names
}

// site is a log, a store and a registry, and the groups on them.
type site struct {
	*fixture
	shelf    *shelf
	registry *projector.MemoryRegistry
}

func newSite(t testing.TB) *site {
	f := newFixture(t)
	return &site{fixture: f, shelf: newShelf(f.memory), registry: &projector.MemoryRegistry{}}
}

func (s *site) config(views ...projector.Definition) projector.Config {
	return projector.Config{Log: s.log, Store: s.shelf, Registry: s.registry, Projections: views}
}

func (s *site) group(t testing.TB, views ...projector.Definition) *projector.Group {
	t.Helper()
	return newGroup(t, s.config(views...))
}

// version returns the view as another version.
func version(v int, fold func(key string, d total, e store.Recorded[event]) total) projector.Documents[event, total] {
	view := totals("totals")
	view.Version = v
	if fold != nil {
		view.Fold = fold
	}
	return view
}

// roles returns the models of the view by role.
func roles(t testing.TB, g *projector.Group) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, s := range g.Status(soon(t)) {
		found[s.Role] = projector.Model{View: s.Name, Version: s.Version, Build: s.Build}.String()
	}
	return found
}

// eventually waits until the models of the view have those roles.
func eventually(t testing.TB, g *projector.Group, want map[string]string) {
	t.Helper()
	for range 600 {
		if maps.Equal(roles(t, g), want) {
			return
		}
		rest(100 * time.Millisecond)
	}
	t.Fatalf("after a minute the roles are (-want +got):\n%s\n%+v", cmp.Diff(want, roles(t, g)), g.Status(soon(t)))
}

func wantModels(t testing.TB, s *site, want ...string) {
	t.Helper()
	rest(10 * time.Second)
	if diff := cmp.Diff(want, s.shelf.names()); diff != "" {
		t.Errorf("models in the store (-want +got):\n%s", diff)
	}
}
