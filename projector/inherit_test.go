package projector_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// A reaction that began now, before its first event, and could not react to what
// came then, leaves that to the next version.
func TestAReactionIsSucceededBeforeItsFirstEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		did := &reacted{counts: map[string]int{}}
		first, second := did.reaction(1, 1), did.reaction(2, 1)
		first.From, second.From = projector.FromNow, projector.FromNow
		first.React = func(context.Context, store.Recorded[event]) error { return store.ErrUnavailable }
		stop := running(t, s.group(t, first))
		rest(10 * time.Second)
		last := s.writer.add("a", 1)
		rest(10 * time.Second)
		stop()
		g := s.group(t, second)
		running(t, g)
		eventually(t, g, map[string]string{"live": "totals_v2"})
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		did.want(t, map[string]int{"a": 1})
	})
}

// A group that was paused while it had the next version of a reaction begin does
// not put that version back when it awakes: neither what it came to, nor what
// became of its dead letters.
func TestALateSuccessionChangesNothing(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{"further": {"b", "c", "d"}, "as far": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				did := &reacted{counts: map[string]int{}, broken: true}
				g := s.group(t, did.reaction(1, 1))
				stop := running(t, g)
				s.writer.add("a", 1)
				if err := g.Wait(soon(t), "totals", s.writer.add("bad", 1)); err != nil {
					t.Fatal(err)
				}
				stop()
				did.repair()
				release := s.late(t, did.reaction(2, 1))
				heir := s.group(t, did.reaction(2, 1))
				running(t, heir)
				eventually(t, heir, map[string]string{"live": "totals_v2"})
				if l, err := heir.Retry(soon(t), "totals", onlyLetter(t, heir, "totals").ID); err != nil || l.ID != "" {
					t.Errorf("retried: %+v, %v", l, err)
				}
				want := map[string]int{"a": 2, "bad": 1}
				for _, id := range more {
					want[id] = 1
					if err := heir.Wait(soon(t), "totals", s.writer.add(id, 1)); err != nil {
						t.Fatal(err)
					}
				}
				before := statusOf(t, heir, "totals")
				release()
				rest(10 * time.Second)
				if err := heir.Wait(soon(t), "totals", s.writer.add("a", 1)); err != nil {
					t.Fatal(err)
				}
				did.want(t, want)
				if s := statusOf(t, heir, "totals"); s.Events != before.Events+1 || s.Parked != 0 {
					t.Errorf("status was %+v and is %+v", before, s)
				}
			})
		})
	}
}

// late starts a group that is paused just before it stores what the next version
// begins with, and loses the view meanwhile.
func (s *site) late(t *testing.T, def projector.Definition) (release func()) {
	t.Helper()
	hanging, released := make(chan struct{}), make(chan struct{})
	var armed, mine atomic.Bool
	armed.Store(true)
	mine.Store(true)
	cfg := s.config(def)
	cfg.Assigned = func(string) bool { return mine.Load() }
	cfg.Store = &pickyStore{Store: s.shelf, onLoad: func(m projector.Model) {
		if m.Version == 2 && armed.CompareAndSwap(true, false) {
			close(hanging)
			<-released
		}
	}}
	running(t, newGroup(t, cfg))
	<-hanging
	mine.Store(false)
	return func() { close(released) }
}

// A worker that never ran leaves its part to the next version's, from where the others
// began: also if that version has another number of workers.
func TestAReactionIsSucceededBeforeAWorkerBegan(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				did := &reacted{counts: map[string]int{}}
				first, second := did.reaction(1, 2), did.reaction(2, workers)
				first.From, second.From = projector.FromNow, projector.FromNow
				f.writer.add("before", 1)
				registry := &projector.MemoryRegistry{}
				g, assigned := f.assigned(t, projector.Config{Registry: registry, Spread: true, Projections: []projector.Definition{first}})
				stop := running(t, g)
				assigned.Assign("totals") // the first worker, and never the second
				rest(time.Minute)
				var last store.Position
				for i := range 12 {
					last = f.writer.add(fmt.Sprint(i), 1)
				}
				rest(time.Minute)
				stop()
				heir := newGroup(t, projector.Config{Log: f.log, Store: f.memory, Registry: registry, Projections: []projector.Definition{second}})
				running(t, heir)
				eventually(t, heir, map[string]string{"live": "totals_v2"})
				if err := heir.Wait(soon(t), "totals", last); err != nil {
					t.Fatal(err)
				}
				did.mu.Lock()
				defer did.mu.Unlock()
				if len(did.counts) != 12 || did.counts["before"] > 0 {
					t.Errorf("reacted to %v", did.counts)
				}
				if workers != 2 {
					return // all begin at the earliest: the first worker's part is done again
				}
				for id, n := range did.counts {
					if n != 1 {
						t.Errorf("reacted %d times to %s", n, id)
					}
				}
			})
		})
	}
}
