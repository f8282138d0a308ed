package projector_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// pausedByAnOlderHome has a reaction paused by a home that has an older build, while the first write
// of one of its workers hangs in another group, which hears nothing. tamper changes what
// the registry has of it.
func pausedByAnOlderHome(t *testing.T, from string, tamper func(*projector.Entry)) (z *zombie, written func() projector.Checkpoint, pause error) {
	t.Helper()
	f := newFixture(t)
	did := &reacted{counts: map[string]int{}}
	first, second := did.reaction(1, 1), did.reaction(2, 2)
	first.From, second.From = from, from
	registry := &deafRegistry{}
	if _, err := registry.Store(t.Context(), "totals", entryOf(t, f, second, tamper), 0); err != nil {
		t.Fatal(err)
	}
	if from != projector.FromNow {
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			f.writer.add(id, 1)
		}
	}
	z = newZombie()
	x := newTrio(t, f, registry, func(i int) projector.Config {
		switch i {
		case 0:
			return projector.Config{Projections: []projector.Definition{first}}
		case 1:
			return projector.Config{Projections: []projector.Definition{second}, Store: z.on(f.memory), CommitTimeout: time.Hour}
		}
		return projector.Config{Projections: []projector.Definition{second}}
	}, first, second)
	x.assigned[x.who["totals.v2.1"]].Withdraw("totals.v2.1")
	x.give("totals.v2.1", 1)
	<-z.hanging
	registry.deaf.Store(true)
	written = func() projector.Checkpoint {
		v, err := f.memory.Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 2}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := v.Load(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return z, written, x.home("totals").Pause(soon(t), "totals")
}

// entryOf is what a group writes into the registry for a reaction, tampered with.
func entryOf(t *testing.T, f *fixture, def projector.Definition, tamper func(*projector.Entry)) projector.Entry {
	t.Helper()
	registry := &projector.MemoryRegistry{}
	g := newGroup(t, projector.Config{Log: f.log, Store: &projector.Memory{}, Registry: registry, Projections: []projector.Definition{def}})
	stop := running(t, g)
	if err := g.Wait(soon(t), "totals", 0); err != nil {
		t.Fatal(err)
	}
	stop()
	e, _, err := registry.Load(t.Context(), "totals")
	if err != nil {
		t.Fatal(err)
	}
	tamper(&e)
	return e
}

// A worker of a reaction that has written nothing yet is stopped by a pause like any
// other, also by a home that lacks its definition.
func TestPauseStopsAReactionBeforeItsFirstWrite(t *testing.T) {
	t.Parallel()
	for _, from := range []string{projector.FromBeginning, projector.FromNow} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				z, written, err := pausedByAnOlderHome(t, from, func(*projector.Entry) {})
				if err != nil {
					t.Fatalf("pause: %v", err)
				}
				before := written()
				close(z.released)
				rest(time.Minute)
				if after := written(); z.fenced.Load() != 1 || before.Revision == 0 || after.Revision != before.Revision {
					t.Errorf("%d writes were refused; the checkpoint is %+v, was %+v", z.fenced.Load(), after, before)
				}
			})
		})
	}
}

// Where an entry does not say where a reaction begins, a pause does not claim that its
// worker has stopped.
func TestPauseClaimsNothingOfAnOldEntry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z, _, err := pausedByAnOlderHome(t, projector.FromBeginning, func(e *projector.Entry) { e.Live.From = "" })
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("pause: %v", err)
		}
		close(z.released)
	})
}
