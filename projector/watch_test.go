package projector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
)

// watched follows a view over whatever ends a watch, as a client does.
type watched struct {
	docs map[string]projector.Document
	want projector.Watch
	ends []error // those that differ from the one before
}

// run watches, with the groups in turn, until ctx ends.
func (s *watched) run(ctx context.Context, t testing.TB, groups ...*projector.Group) {
	s.docs, s.want.Progress = map[string]projector.Document{}, true
	for turn := 0; ctx.Err() == nil; turn++ {
		for d, err := range groups[turn%len(groups)].Watch(ctx, "totals", s.want) {
			switch {
			case err != nil:
				s.end(err)
			case d.Key == "":
				s.want.After = d.Position
			case d.Position < s.docs[d.Key].Position:
				t.Errorf("%s at %d came after %d", d.Key, d.Position, s.docs[d.Key].Position)
			default:
				s.docs[d.Key] = d
			}
		}
		rest(10 * time.Millisecond)
	}
}

func (s *watched) end(err error) {
	if errors.Is(err, projector.ErrSwitched) {
		s.want.After, s.want.Min = 0, max(s.want.After, s.want.Min)
	}
	if n := len(s.ends); n == 0 || err.Error() != s.ends[n-1].Error() {
		s.ends = append(s.ends, err)
	}
}

func (s *watched) totals(t testing.TB) map[string]total {
	all := map[string]total{}
	for key, d := range s.docs {
		all[key] = decoded(t, d)
	}
	return all
}

// A view with several workers is watched while it moves to and fro between two
// groups, whose commits fail in all ways: the watcher has what the log leads to.
func TestAWatcherFollowsAViewThatMoves(t *testing.T) {
	t.Parallel()
	for range 6 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { watchMoves(t, seed) })
		})
	}
}

func watchMoves(t *testing.T, seed uint64) {
	f := newFixture(t)
	luck := newDice(rand.New(rand.NewPCG(seed, 0)))
	var healed atomic.Bool
	faulty := &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		if healed.Load() {
			return none
		}
		return []fault{none, none, none, lost, torn, unheard}[luck.IntN(6)]
	}}
	view := totals("totals")
	view.Workers = 1 + int(seed%3)
	var groups []*projector.Group
	var assignments []*projector.Assignment
	registry := &projector.MemoryRegistry{}
	for range 2 {
		g, a := f.assigned(t, projector.Config{Store: faulty, Registry: registry, Projections: []projector.Definition{view}})
		running(t, g)
		groups, assignments = append(groups, g), append(assignments, a)
	}
	var s watched
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { s.run(ctx, t, groups...) })
	random := rand.New(rand.NewPCG(seed, 1))
	for turn := range 40 {
		assignments[turn%2].Assign("totals")
		for range luck.IntN(30) {
			f.writer.random(random, 1, 9)
			rest(time.Duration(luck.IntN(30)) * time.Millisecond)
		}
		assignments[turn%2].Withdraw("totals")
	}
	healed.Store(true)
	assignments[0].Assign("totals")
	if err := groups[0].Wait(soon(t), "totals", f.writer.add("a", 1)); err != nil {
		t.Fatal(err)
	}
	rest(time.Minute)
	cancel()
	watching.Wait()
	want, _, _ := expected(t, f.log, view)
	if diff := cmp.Diff(want, s.totals(t)); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// Why watches end, and that one goes on with the model that is served then.
func TestWhyWatchesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		cfg := s.config(totals("totals"), version(2, nil))
		a := &projector.Assignment{}
		cfg.Assigned, cfg.Reassigned = a.Assigned, a.Reassigned
		g := newGroup(t, cfg)
		stop := running(t, g)
		for _, err := range g.Watch(t.Context(), "nothing", projector.Watch{}) {
			if !errors.Is(err, projector.ErrNoView) {
				t.Errorf("an unknown view: %v", err)
			}
		}
		a.Assign("totals")
		var w watched
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { w.run(ctx, t, g) })
		s.writer.add("a", 1)
		rest(time.Second)
		other := 1
		if statusOf(t, g, "totals").Version == 1 {
			other = 2
		}
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Version: other, Switch: true}); err != nil {
			t.Fatal(err)
		}
		rest(time.Minute)
		s.writer.add("a", 1)
		rest(time.Second)
		a.Withdraw("totals")
		rest(time.Second)
		a.Assign("totals")
		s.writer.add("b", 1)
		rest(time.Second)
		stop()
		rest(time.Second)
		cancel()
		watching.Wait()
		wants := []error{projector.ErrSwitched, projector.ErrElsewhere, projector.ErrStopped}
		for i, want := range wants {
			if i >= len(w.ends) || !errors.Is(w.ends[i], want) {
				t.Errorf("the watches ended with %v, want %v", w.ends, wants)
				break
			}
		}
		want, _, _ := expected(t, s.log, totals("totals"))
		if diff := cmp.Diff(want, w.totals(t)); diff != "" {
			t.Errorf("documents (-want +got):\n%s", diff)
		}
	})
}

// Who was not there when another model took the place of the one that it watched
// learns of it when it comes back, if it says which one that was.
func TestAResumedWatchNoticesASwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		g := newGroup(t, s.config(totals("totals"), version(2, nil)))
		running(t, g)
		last := s.writer.add("a", 1)
		first := func(w projector.Watch) (projector.Document, error) {
			w.Progress, w.Min = true, last
			for d, err := range g.Watch(soon(t), "totals", w) {
				if err != nil || d.Key == "" {
					return d, err
				}
			}
			return projector.Document{}, nil
		}
		was := statusOf(t, g, "totals").Version
		had, err := first(projector.Watch{})
		if want := (projector.Model{View: "totals", Version: was}).String(); err != nil || had.Position != last || had.Model != want {
			t.Fatalf("progress is %+v, %v, want %d of %s", had, err, last, want)
		}
		if d, err := first(projector.Watch{After: had.Position, Model: had.Model}); err != nil || d.Model != had.Model {
			t.Errorf("on the same model: %+v, %v", d, err)
		}
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Version: 3 - was, Switch: true}); err != nil {
			t.Fatal(err)
		}
		rest(time.Minute)
		if d, err := first(projector.Watch{After: had.Position, Model: had.Model}); !errors.Is(err, projector.ErrSwitched) {
			t.Errorf("on another model: %+v, %v", d, err)
		}
		for what, w := range map[string]projector.Watch{"any model": {After: had.Position}, "anew": {Model: had.Model}} {
			if d, err := first(w); err != nil || d.Model == had.Model || d.Position != last {
				t.Errorf("%s: %+v, %v", what, d, err)
			}
		}
	})
}
