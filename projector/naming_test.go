package projector_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// named is a store whose views have names of their own.
type named struct {
	*shelf
	mu    sync.Mutex
	calls int
	fails int // how many of the next calls do
	is    projector.Model
}

func (n *named) Name(_ context.Context, m projector.Model) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.fails > 0 {
		n.fails--
		return store.ErrUnavailable
	}
	n.is = m
	return nil
}

func (n *named) model() projector.Model {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.is
}

func (n *named) set(m projector.Model, fails int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.is, n.fails = m, fails
}

// A view's own name follows what is served, through rebuild, switch and
// roll-back, and comes back when somebody else has moved it.
func TestNameFollowsTheLiveModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		kept := &named{shelf: s.shelf}
		kept.set(projector.Model{}, 3)
		cfg := s.config(totals("totals"))
		cfg.Store = kept
		for range 20 {
			s.writer.add("a", 1)
		}
		g := newGroup(t, cfg)
		running(t, g)
		agrees(t, s.fixture, g, totals("totals"))
		is := func(want string) {
			t.Helper()
			rest(time.Minute)
			if got := kept.model().String(); got != want {
				t.Errorf("the name stands for %s, want %s", got, want)
			}
		}
		is("totals_v1")
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true}); err != nil {
			t.Fatal(err)
		}
		is("totals_v1") // the candidate is not served yet
		if err := g.Promote(soon(t), "totals", false); err != nil {
			t.Fatal(err)
		}
		is("totals_v1_b1")
		if err := g.Rollback(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		is("totals_v1")
		kept.set(projector.Model{View: "totals", Version: 1, Build: 9}, 0)
		is("totals_v1")
	})
}

// A name costs one call when a model comes, and one now and then.
func TestNameIsNotAskedForAllTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		kept := &named{shelf: s.shelf}
		cfg := s.config(totals("totals"))
		cfg.Store = kept
		g := newGroup(t, cfg)
		running(t, g)
		for range 300 {
			s.writer.add("a", 1)
			rest(time.Second)
		}
		kept.mu.Lock()
		defer kept.mu.Unlock()
		if kept.calls < 10 || kept.calls > 15 {
			t.Errorf("in five minutes %d calls", kept.calls)
		}
	})
}
