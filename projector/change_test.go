package projector_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// mute is a registry whose answer to one change is lost. Before anybody looks, the
// entry is changed by another, or the registry is away.
type mute struct {
	*projector.MemoryRegistry
	armed, away atomic.Bool
	before      func(e *projector.Entry) bool // the change is this one; it may be made another
	after       func(e *projector.Entry)      // what another makes of it; nil: the registry is away
}

func (r *mute) Store(ctx context.Context, view string, e projector.Entry, revision uint64) (uint64, error) {
	if !r.armed.Load() || !r.before(&e) || !r.armed.CompareAndSwap(true, false) {
		return r.MemoryRegistry.Store(ctx, view, e, revision)
	}
	now, err := r.MemoryRegistry.Store(ctx, view, e, revision)
	if err != nil {
		return 0, err
	}
	if r.after == nil {
		r.away.Store(true)
	} else {
		r.after(&e)
		if _, err := r.MemoryRegistry.Store(ctx, view, e, now); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: the answer is lost", store.ErrUnknown)
}

func (r *mute) Load(ctx context.Context, view string) (projector.Entry, uint64, error) {
	if r.away.Load() {
		return projector.Entry{}, 0, fmt.Errorf("%w: the registry is away", store.ErrUnavailable)
	}
	return r.MemoryRegistry.Load(ctx, view)
}

// withCandidate is a view of which another model has been built.
func withCandidate(t *testing.T) (*projector.Group, *mute) {
	t.Helper()
	s := newSite(t)
	s.writer.add("a", 1)
	r := &mute{MemoryRegistry: s.registry}
	cfg := s.config(totals("totals"))
	cfg.Registry = r
	g := newGroup(t, cfg)
	running(t, g)
	if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true}); err != nil {
		t.Fatal(err)
	}
	rest(time.Minute)
	eventually(t, g, map[string]string{"live": "totals_v1", "candidate": "totals_v1_b1"})
	return g, r
}

// A switch takes effect, its answer is lost, and the entry is changed again before
// anybody looks. It is not made a second time: that would undo it.
func TestASwitchWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, r := withCandidate(t)
		live := ""
		r.before = func(e *projector.Entry) bool { return e.Live.String() == live && e.Settling }
		r.after = func(e *projector.Entry) { e.Settling = false }
		live = "totals_v1_b1"
		r.armed.Store(true)
		if err := g.Promote(soon(t), "totals", false); err != nil || r.armed.Load() {
			t.Errorf("promote: %v", err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"})
		live = "totals_v1"
		r.armed.Store(true)
		if err := g.Rollback(soon(t), "totals"); err != nil || r.armed.Load() {
			t.Errorf("rollback: %v", err)
		}
		rest(time.Minute)
		eventually(t, g, map[string]string{"live": "totals_v1", "previous": "totals_v1_b1"})
		if err := g.Rollback(soon(t), "totals"); err != nil { // one that is asked for anew
			t.Errorf("rollback of that: %v", err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"})
	})
}

// The candidate that is to be served is gone when the entry is looked at again.
// Another one that nobody asked for is not served in its place.
func TestAPromotionOfTheCandidateThatWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, r := withCandidate(t)
		r.before = func(e *projector.Entry) bool {
			if e.Candidate != nil || !e.Settling {
				return false
			}
			was := e.Live
			e.Live, e.Previous, e.Settling = *e.Previous, nil, false // as if it had never been stored
			was.Build = 2
			e.Candidate, e.Rebuild, e.Builds = &was, &projector.Rebuild{Online: true, Version: 1}, map[int]int{1: 2}
			return true
		}
		r.after = func(e *projector.Entry) { e.Began = e.Began.Add(time.Second) }
		r.armed.Store(true)
		if err := g.Promote(soon(t), "totals", true); !errors.Is(err, projector.ErrNoCandidate) || !errors.Is(err, store.ErrUnknown) {
			t.Errorf("promote: %v", err)
		}
		rest(time.Minute)
		eventually(t, g, map[string]string{"live": "totals_v1", "candidate": "totals_v1_b2"})
	})
}

// A change whose answer is lost is of unknown outcome, whatever fails afterwards.
func TestAnUnknownChangeStaysUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, r := withCandidate(t)
		r.before = func(e *projector.Entry) bool { return e.Paused }
		r.armed.Store(true)
		if err := g.Pause(soon(t), "totals"); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("pause: %v", err)
		}
		r.away.Store(false)
		if err := g.Pause(soon(t), "totals"); err != nil {
			t.Errorf("pause once more: %v", err)
		}
	})
}
