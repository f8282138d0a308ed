package projector_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// New code without the old answers from what is stored until its own model has
// caught up; old code does not answer for what it does not know.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for range 30 {
			s.writer.add("a", 1)
		}
		mark := func(_ string, d total, e store.Recorded[event]) total {
			d = d.with(e)
			d.Closed = true
			return d
		}
		cfg := s.config(totals("totals"))
		old, here := s.assigned(t, cfg)
		here.Assign("totals")
		running(t, old)
		agrees(t, s.fixture, old, totals("totals"))
		here.Withdraw("totals")
		stopped(t, old, "totals")

		cfg = s.config(version(2, mark))
		cfg.Log, cfg.FlushEvery = pacedLog{s.log}, 1
		fresh, there := s.assigned(t, cfg)
		there.Assign("totals")
		running(t, fresh)
		d, err := fresh.Get(soon(t), "totals", "a", 0)
		if err != nil || decoded(t, d).Count != 30 || decoded(t, d).Closed {
			t.Errorf("while the new version is built: %s, %v", d.Document, err)
		}
		if got := fresh.Status(soon(t))[0]; got.State != projector.StateStored || got.Version != 1 {
			t.Errorf("status is %+v", got)
		}
		last := s.writer.add("a", 1)
		d, err = fresh.Get(soon(t), "totals", "a", last) // nobody writes the old model: it waits for the new one
		if err != nil || decoded(t, d).Count != 31 || !decoded(t, d).Closed {
			t.Errorf("with a position: %s, %v", d.Document, err)
		}
		eventually(t, fresh, map[string]string{"live": "totals_v2", "previous": "totals_v1"})
		if err := fresh.Rollback(soon(t), "totals"); !errors.Is(err, projector.ErrNoPrevious) {
			t.Errorf("roll-back to what nobody knows: %v", err)
		}

		there.Withdraw("totals")
		stopped(t, fresh, "totals")
		here.Assign("totals")
		rest(10 * time.Second)
		if _, err := old.Get(soon(t), "totals", "a", 0); !errors.Is(err, projector.ErrElsewhere) {
			t.Errorf("old code answers for the new version: %v", err)
		}
		if got := old.Status(soon(t))[0]; got.State != projector.StateFailed || got.Version != 2 {
			t.Errorf("status is %+v", got)
		}
	})
}

// pacedLog delivers one commit a second.
type pacedLog struct{ store.Log }

type pacedFeed struct{ store.Feed }

func (l pacedLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	return pacedFeed{feed}, err
}

func (f pacedFeed) Next(ctx context.Context, _ int) ([]*store.Commit, error) {
	commits, err := f.Feed.Next(ctx, 1)
	if err == nil {
		rest(time.Second)
	}
	return commits, err
}

// A rebuild goes on where it was when the group that did it has gone.
func TestARebuildOutlivesItsGroup(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]projector.Rebuild{
		"online": {Online: true, Switch: true, Parity: -1}, "in place": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				for range 60 {
					s.writer.add("a", 1)
				}
				cfg := s.config(totals("totals"))
				cfg.Log, cfg.FlushEvery = pacedLog{s.log}, 1
				first := newGroup(t, cfg)
				stop := running(t, first)
				agrees(t, s.fixture, first, totals("totals"))
				if _, err := first.Rebuild(soon(t), "totals", r); err != nil {
					t.Fatal(err)
				}
				rest(10 * time.Second)
				stop()
				began := time.Now()
				second := newGroup(t, cfg)
				running(t, second)
				if d, err := second.Get(soon(t), "totals", "a", 0); err != nil || decoded(t, d).Count != 60 {
					t.Errorf("got %s, %v", d.Document, err)
				}
				want := map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"}
				if !r.Online {
					delete(want, "previous")
				}
				eventually(t, second, want)
				if took := time.Since(began); took > 58*time.Second {
					t.Errorf("it began again: %v", took)
				}
				agrees(t, s.fixture, second, totals("totals"))
			})
		})
	}
}

func TestPauseOutlivesItsGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		g := s.group(t, totals("totals"))
		stop := running(t, g)
		first := s.writer.add("a", 1)
		if err := g.Wait(soon(t), "totals", first); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := g.Pause(soon(t), "totals"); err != nil {
				t.Fatal(err)
			}
		}
		rest(time.Second)
		last := s.writer.add("a", 1)
		for range 2 {
			if d, err := g.Get(soon(t), "totals", "a", first); err != nil || decoded(t, d).Count != 1 {
				t.Errorf("what there is: %s, %v", d.Document, err)
			}
			if _, err := g.Get(soon(t), "totals", "a", last); !errors.Is(err, projector.ErrPaused) {
				t.Errorf("what is not there: %v", err)
			}
			if got := statusOf(t, g, "totals"); got.State != projector.StatePaused || !got.Paused || got.Stalled || got.LagEvents != 1 {
				t.Errorf("status is %+v", got)
			}
			if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{}); !errors.Is(err, projector.ErrPaused) {
				t.Errorf("rebuild of a paused view: %v", err)
			}
			stop()
			g = s.group(t, totals("totals"))
			stop = running(t, g)
			rest(time.Minute)
		}
		if err := g.Resume(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		agrees(t, s.fixture, g, totals("totals"))
	})
}
