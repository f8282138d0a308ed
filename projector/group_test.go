package projector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// fixture is a log, a store and a group on them.
type fixture struct {
	log    *store.Memory
	writer *writer
	memory *projector.Memory
}

func newFixture(t testing.TB) *fixture {
	log := store.NewMemory(store.MemoryConfig{})
	return &fixture{log: log, writer: newWriter(t, log), memory: &projector.Memory{}}
}

func (f *fixture) group(t testing.TB, views ...projector.Definition) *projector.Group {
	t.Helper()
	return newGroup(t, projector.Config{Log: f.log, Store: f.memory, Projections: views})
}

func TestGroupBuildsWhatAPlainFoldBuilds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		r := rand.New(rand.NewPCG(1, 2))
		f.writer.random(r, 3000, 40)
		g := f.group(t, totals("totals"))
		running(t, g)
		last := f.writer.random(r, 500, 40)

		docs, proof, checkpoint := expected(t, f.log, totals("totals"))
		if diff := cmp.Diff(docs, everything(t, g, "totals", last)); diff != "" {
			t.Errorf("documents (-want +got):\n%s", diff)
		}
		want := projector.Status{
			Name: "totals", Version: 1, Role: projector.RoleLive, Workers: 1, State: projector.StateLive,
			Checkpoint: checkpoint, Head: checkpoint, Trend: projector.TrendSteady, Progress: 1,
			Events: proof.Events, Hash: proof.Hash.String(),
		}
		if diff := cmp.Diff(want, statusOf(t, g, "totals")); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	})
}

func TestGroupIsLiveOnAnEmptyLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newFixture(t).group(t, totals("totals"))
		if got := statusOf(t, g, "totals").State; got != projector.StateStarting {
			t.Errorf("state before Run is %s", got)
		}
		stop := running(t, g)
		synctest.Wait()
		if got := statusOf(t, g, "totals").State; got != projector.StateLive {
			t.Errorf("state is %s", got)
		}
		stop()
		if got := statusOf(t, g, "totals").State; got != projector.StateStopped {
			t.Errorf("state after Run is %s", got)
		}
	})
}

func TestGroupResumesWhereItStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for round := range 5 {
			g := f.group(t, totals("totals"))
			stop := running(t, g)
			last := f.writer.add("a", round)
			if err := g.Wait(soon(t), "totals", last); err != nil {
				t.Fatal(err)
			}
			stop()
			f.writer.add("a", 100) // while nobody runs
		}
		g := f.group(t, totals("totals"))
		running(t, g)
		docs, proof, _ := expected(t, f.log, totals("totals"))
		last := f.writer.append(store.StreamID{Type: "other", ID: "x"}, closed{})
		if diff := cmp.Diff(docs, everything(t, g, "totals", last)); diff != "" {
			t.Errorf("documents (-want +got):\n%s", diff)
		}
		if got := statusOf(t, g, "totals"); got.Events != proof.Events || got.Hash != proof.Hash.String() {
			t.Errorf("%d events, hash %s; want %d, %s", got.Events, got.Hash, proof.Events, proof.Hash)
		}
	})
}

func TestAnotherVersionIsAnotherReadModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		last := f.writer.add("a", 1)
		first := f.group(t, totals("totals"))
		stop := running(t, first)
		if err := first.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		stop()
		second := totals("totals")
		second.Version = 2
		second.Fold = func(_ string, d total, e store.Recorded[event]) total { d.Sum = 42; return d }
		g := f.group(t, second)
		running(t, g)
		d, err := g.Get(soon(t), "totals", "a", last)
		if err != nil {
			t.Fatal(err)
		}
		if decoded(t, d).Sum != 42 {
			t.Errorf("document is %s", d.Document)
		}
	})
}

func TestOneEventMayTouchMoreDocumentsThanOneWriteHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		const wide = 3500
		view := totals("wide")
		view.Keys = func(e store.Recorded[event]) []string {
			if _, ok := e.Data.(closed); !ok {
				return []string{"k-1", "k-1", e.Stream.ID}
			}
			var keys []string
			for i := range wide {
				keys = append(keys, fmt.Sprintf("k-%d", i))
			}
			return keys
		}
		f.writer.add("a", 1)
		f.writer.append(store.StreamID{Type: "counter", ID: "a"}, added{1}, closed{}, added{1})
		last := f.writer.add("a", 1)

		// The store fails in the middle of the wide event, again and again.
		r := rand.New(rand.NewPCG(3, 4))
		failing := &faults{memory: f.memory, onCommit: func(_ projector.View, c projector.Checkpoint, docs []projector.Document) fault {
			for _, d := range docs {
				if ahead := d.Position > c.Position; ahead && c.Furthest < d.Position {
					t.Errorf("checkpoint at %d says documents reach to %d, one is at %d", c.Position, c.Furthest, d.Position)
				}
			}
			return fault(r.IntN(4))
		}}
		g := newGroup(t, projector.Config{Log: f.log, Store: failing, Projections: []projector.Definition{view}})
		running(t, g)
		docs := everything(t, g, "wide", last)
		if len(docs) != wide+1 {
			t.Errorf("%d documents, want %d", len(docs), wide+1)
		}
		want, _, _ := expected(t, f.log, view)
		want["k-1"] = foldOnce(t, f.log, view, "k-1")
		if diff := cmp.Diff(want, docs); diff != "" {
			t.Errorf("documents (-want +got):\n%.2000s", diff)
		}
	})
}

// foldOnce folds each event once into the document, however often Keys names it.
func foldOnce(t *testing.T, log store.Log, view projector.Documents[event, total], key string) total {
	plain := view
	plain.Keys = func(e store.Recorded[event]) []string {
		if slices.Contains(view.Keys(e), key) {
			return []string{key}
		}
		return nil
	}
	docs, _, _ := expected(t, log, plain)
	return docs[key]
}

func TestGetAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		last := f.writer.add("a b/c", 7)
		d, err := g.Get(soon(t), "totals", "a b/c", last)
		if err != nil || d.Key != "a b/c" || d.Position != last || decoded(t, d).Sum != 7 {
			t.Errorf("got %+v, %v", d, err)
		}
		for _, c := range []struct {
			name, view, key string
			want            error
		}{
			{"no such document", "totals", "nobody", store.ErrNotFound},
			{"no such view", "nothing", "a", projector.ErrNoView},
			{"empty key", "totals", "", store.ErrInvalid},
			{"key with a control character", "totals", "a\x00", store.ErrInvalid},
		} {
			if _, err := g.Get(soon(t), c.view, c.key, 0); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if _, _, err := g.List(soon(t), "totals", "no cursor", 10, 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("foreign cursor: %v", err)
		}
	})
}

func TestNewGroupRefuses(t *testing.T) {
	t.Parallel()
	log, kept := store.NewMemory(store.MemoryConfig{}), &projector.Memory{}
	with := func(change func(*projector.Documents[event, total])) projector.Config {
		view := totals("totals")
		change(&view)
		return projector.Config{Log: log, Store: kept, Projections: []projector.Definition{view}}
	}
	for name, cfg := range map[string]projector.Config{
		"no log":         {Store: kept},
		"no store":       {Log: log},
		"a view twice":   {Log: log, Store: kept, Projections: []projector.Definition{totals("a"), totals("a")}},
		"negative flush": {Log: log, Store: kept, FlushEvery: -1},
		"bad name":       with(func(v *projector.Documents[event, total]) { v.Name = "Totals" }),
		"long name":      with(func(v *projector.Documents[event, total]) { v.Name = "a123456789012345678901234567890123456789x" }),
		"version":        with(func(v *projector.Documents[event, total]) { v.Version = -1 }),
		"no types":       with(func(v *projector.Documents[event, total]) { v.Types = nil }),
		"bad type":       with(func(v *projector.Documents[event, total]) { v.Types = []string{"a.b"} }),
		"no events":      with(func(v *projector.Documents[event, total]) { v.Events = store.Types[event]{} }),
		"no keys":        with(func(v *projector.Documents[event, total]) { v.Keys = nil }),
		"no fold":        with(func(v *projector.Documents[event, total]) { v.Fold = nil }),
	} {
		if _, err := projector.NewGroup(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	g := newGroup(t, projector.Config{Log: log, Store: kept})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(ctx); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("second Run: %v", err)
	}
}

func TestLiveLatencyIsThatOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		for i := range 100 {
			began := time.Now()
			if err := g.Wait(soon(t), "totals", f.writer.add("a", i)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 0 {
				t.Fatalf("event %d was visible after %v of waiting", i, took)
			}
		}
	})
}
