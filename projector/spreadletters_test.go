package projector_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The drama of the dead letters, of each kind, with workers in three groups, duties
// that move, and operators who ask the home.
func TestSpreadWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"documents", "tables", "reaction"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			eachSeed(t, func(t *testing.T, r *rand.Rand) { spreadDrama(t, r, kind) })
		})
	}
}

func spreadDrama(t *testing.T, r *rand.Rand, kind string) {
	f := newFixture(t)
	d := &drama{f: f, r: r, ward: &ward{ill: map[place]bool{}}}
	var repaired atomic.Bool
	luck := newDice(r)
	kept := newTableStore()
	kept.faults = &faults{onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		if repaired.Load() || luck.IntN(10) > 0 {
			return none
		}
		return fault(1 + luck.IntN(3))
	}}
	reacted := &reactions{seen: map[store.StreamID][]uint64{}}
	histories := histories(d.ward.is, 3)
	def := map[string]projector.Definition{
		"documents": histories, "tables": rowsOf(kept, 3, d.ward.is), "reaction": reacted.definition(3, d.ward.is),
	}[kind]
	view := def.Describe().Name
	x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config {
		cfg := randomConfig(r)
		cfg.Store, cfg.Attempts = kept, 1+r.IntN(3)
		cfg.Log = &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(40) == 0 }}
		return cfg
	}, def)
	for range 25 {
		d.append(r.IntN(8))
		rest(time.Duration(r.IntN(2000)) * time.Millisecond)
		switch r.IntN(7) {
		case 0:
			d.ward.heal(func() bool { return r.IntN(2) == 0 })
		case 1:
			x.restart(r.IntN(3))
		case 2:
			x.move(x.duties[r.IntN(3)], r.IntN(3), r.IntN(2) == 0)
		case 3:
			pauseForAWhile(t, x, view)
		default:
			d.operate(t, x, view)
		}
	}
	repaired.Store(true)
	d.ward.heal(func() bool { return true })
	_, last := plainRows(t, f, nil)
	if err := x.home(view).Wait(soon(t), view, last); err != nil {
		t.Fatal(err)
	}
	d.clear(t, x, view)
	skipped, err := x.home(view).Skipped(soon(t), view)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "documents":
		rest(5 * time.Second)
		agreesWithHistories(t, f, x.home(view), histories)
	case "tables":
		want, _ := plainRows(t, f, skipped)
		if diff := cmp.Diff(want, kept.committed()); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	case "reaction":
		reacted.check(t, f, skipped)
	}
}

// pauseForAWhile pauses the view: nothing is written until it goes on.
func pauseForAWhile(t *testing.T, x *trio, view string) {
	t.Helper()
	ctx, cancel := withTimeout(t, 20*time.Second)
	defer cancel()
	g := x.home(view)
	if err := g.Pause(ctx, view); err != nil {
		if !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) && !errors.Is(err, projector.ErrTimeout) {
			t.Errorf("pause: %v", err)
		}
	} else {
		before := positionsOf(t, g, view)
		rest(5 * time.Second)
		if diff := cmp.Diff(before, positionsOf(t, g, view)); diff != "" {
			t.Errorf("a paused view was written to (-before +after):\n%s", diff)
		}
	}
	if err := g.Resume(soon(t), view); err != nil {
		t.Errorf("resume: %v", err)
	}
}

// positionsOf are the positions of the workers, as they are stored.
func positionsOf(t *testing.T, g *projector.Group, view string) (all []store.Position) {
	t.Helper()
	for range 100 {
		v, err := g.Verify(soon(t), view, false)
		if errors.Is(err, store.ErrUnavailable) {
			continue // the log fails now and then
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range v.Workers {
			all = append(all, store.Position(w.Stored.Events))
		}
		return all
	}
	t.Fatal("the view cannot be verified")
	return nil
}

// A worker elsewhere does not hear that a skip is stored: where it runs and at the home
// the letter is at once shown as it is stored.
func TestASkipOfUnknownOutcomeElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, sick, stream := newFixture(t), &ward{ill: map[place]bool{}}, counter("c-1")
		view, kept := histories(sick.is, 3), newTableStore()
		var next atomic.Int64 // the fault of the next commit
		kept.faults = &faults{onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			return fault(next.Swap(int64(none)))
		}}
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config { return projector.Config{Store: kept} }, view)
		sick.admit(place{stream, 2})
		sick.admit(place{stream, 3})
		if err := x.home(view.Name).Wait(soon(t), view.Name, f.writer.append(stream, added{1}, added{2}, added{3})); err != nil {
			t.Fatal(err)
		}
		letters, err := x.DeadLetters(soon(t), view.Name)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := 0
		for _, l := range letters {
			if l.Worker == "0" {
				continue
			}
			elsewhere++
			there := x.groups[x.who["histories.v1."+l.Worker]]
			next.Store(int64(unheard))
			if _, err := there.Skip(soon(t), view.Name, l.ID, 2, "it is ill", "me"); !errors.Is(err, store.ErrUnknown) {
				t.Errorf("skip: %v", err)
			}
			for name, g := range map[string]*projector.Group{"there": there, "at the home": x.home(view.Name)} {
				if now, err := g.Letter(soon(t), view.Name, l.ID); err != nil || now.At != 3 {
					t.Errorf("%s the letter of worker %s waits at %d, %v; want 3", name, l.Worker, now.At, err)
				}
			}
		}
		if elsewhere == 0 {
			t.Error("no letter was elsewhere: this shows nothing")
		}
	})
}

// A stream that is parked by a worker elsewhere is listed at the home, which names
// whoever can release it.
func TestLettersOfWorkersElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, sick := newFixture(t), &ward{ill: map[place]bool{}}
		view := histories(sick.is, 3)
		x := newTrio(t, f, &projector.MemoryRegistry{}, plainly, view)
		g, stream := x.home(view.Name), store.StreamID{Type: "counter", ID: "c-1"}
		f.writer.append(stream, added{N: 1})
		sick.admit(place{stream, 2})
		f.writer.append(stream, added{N: 2})
		last := f.writer.append(stream, added{N: 3})
		if err := g.Wait(soon(t), view.Name, last); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), view.Name)
		if err != nil || len(letters) == 0 {
			t.Fatalf("letters: %+v, %v", letters, err)
		}
		sick.heal(func() bool { return true })
		elsewhere := 0
		for _, l := range letters {
			if l.Queued != 1 {
				t.Errorf("%s has %d events waiting, want 1", l.ID, l.Queued)
			}
			if events, err := g.LetterEvents(soon(t), view.Name, l.ID, 0); err != nil || len(events) != 2 {
				t.Errorf("events of %s: %+v, %v", l.ID, events, err)
			}
			var named *projector.ElsewhereError
			if _, err := g.Retry(soon(t), view.Name, l.ID); errors.As(err, &named) {
				elsewhere++
				if want := "histories.v1." + l.Worker; named.Duty != want {
					t.Errorf("%s is said to be with %s, want %s", l.ID, named.Duty, want)
				}
				if _, err := x.groups[x.who[named.Duty]].Retry(soon(t), view.Name, l.ID); err != nil {
					t.Errorf("retry where it is: %v", err)
				}
			} else if err != nil {
				t.Errorf("retry: %v", err)
			}
		}
		if elsewhere == 0 {
			t.Error("no letter was elsewhere: this shows nothing")
		}
		agreesWithHistories(t, f, g, view)
	})
}
