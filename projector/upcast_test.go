package projector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// What older builds stored of counters.
type (
	pairedV1 struct {
		First  int `json:"first"`
		Second int `json:"second"`
	}
	notedV1 struct{}
	addedV1 struct {
		N int `json:"n"`
	}
)

// olderEvents reads all of that; broken, if not nil, has the pair's step panic.
func olderEvents(broken *atomic.Bool) store.Types[event] {
	return store.NewTypes(map[string]event{"added": added{}, "closed": closed{}},
		store.Split("paired", 1, func(p pairedV1) []event {
			if broken != nil && broken.Load() {
				panic("a mistake")
			}
			return []event{added{p.First}, added{p.Second}}
		}),
		store.Split("ended", 1, func(p pairedV1) []event { return []event{added{p.First}, closed{}, added{p.Second}} }),
		store.Split("noted", 1, func(notedV1) []event { return nil }),
		store.Upcast("increased", 1, func(a addedV1) added { return added(a) }), store.Rename("increased", 2, "added"))
}

func older(t testing.TB, name string, v any) store.Event {
	t.Helper()
	data, err := store.MsgPack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return store.Event{Type: name, Schema: 1, Data: data}
}

// The parts of an event are in a document together or not at all, and once, however
// its store fails: one part of what is split is no place to begin again.
func TestPartsAreOneStepOfADocument(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, seed))
		f := newFixture(t)
		memory := &projector.Memory{}
		d := newDice(r)
		failing := &faults{Store: memory, memory: memory, dice: d, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault { return fault(d.IntN(4)) }}
		view := totals("totals")
		view.Events = olderEvents(nil)
		view.Keys = func(e store.Recorded[event]) []string {
			if n, ok := e.Data.(added); ok && n.N%2 == 0 { // the parts of a pair go different ways as well
				return []string{"even", e.Stream.ID, "all of them", "all of them"}
			}
			return []string{e.Stream.ID, "all of them"}
		}
		g := newGroup(t, projector.Config{Log: f.log, Store: failing, Projections: []projector.Definition{view}})
		defer running(t, g)()
		want := map[string]total{}
		expect := func(stream string, ns ...int) {
			for _, n := range ns {
				keys := []string{stream, "all of them"}
				if n%2 == 0 {
					keys = append(keys, "even")
				}
				for _, key := range keys {
					d := want[key]
					by := map[string]int{"added": d.Count + 1}
					want[key] = total{Sum: d.Sum + n, Count: d.Count + 1, By: by}
				}
			}
		}
		for i := range 60 {
			stream := fmt.Sprintf("c-%d", i%7)
			n, m := r.IntN(100), r.IntN(100)
			last := f.writer.store(counter(stream), older(t, "noted", notedV1{}), older(t, "paired", pairedV1{n, m}), older(t, "increased", addedV1{n}))
			expect(stream, n, m, n)
			if i%10 == 9 {
				if err := g.Wait(soon(t), "totals", last); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, everything(t, g, "totals", last)); diff != "" {
					t.Fatalf("-want +got:\n%s", diff)
				}
			}
		}
	})
}

// A view that wants some types gets them whatever they were stored as, and nothing
// else that became of the same events.
func TestOnlyNamesWhatEventsAreToday(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	view := totals("totals")
	view.Events, view.Only = olderEvents(nil), []string{"closed"}
	g := newGroup(t, projector.Config{Log: f.log, Store: &projector.Memory{}, Projections: []projector.Definition{view}})
	defer running(t, g)()
	f.writer.store(counter("a"), older(t, "increased", addedV1{1}), older(t, "paired", pairedV1{1, 2}))
	f.writer.store(counter("b"), older(t, "ended", pairedV1{1, 2}), store.Event{Type: "lost", Schema: 9, Data: []byte("\x80")})
	last := f.writer.append(counter("c"), closed{}, added{1})
	if err := g.Wait(soon(t), "totals", last); err != nil {
		t.Fatal(err)
	}
	one := total{Count: 1, Closed: true, By: map[string]int{"closed": 1}}
	want := map[string]total{"b": one, "c": one, "all of them": {Count: 2, Closed: true, By: map[string]int{"closed": 2}}}
	if diff := cmp.Diff(want, everything(t, g, "totals", last)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	if s := statusOf(t, g, "totals"); s.Parked != 0 || s.Checkpoint != last {
		t.Errorf("status is %+v", s)
	}
}

// A document that one part deletes begins anew with the next.
func TestAPartMayDeleteADocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	view := totals("totals")
	view.Events, view.Gone = olderEvents(nil), func(d total) bool { return d.Closed }
	view.Keys = func(e store.Recorded[event]) []string { return []string{e.Stream.ID} }
	g := newGroup(t, projector.Config{Log: f.log, Store: &projector.Memory{}, Projections: []projector.Definition{view}})
	defer running(t, g)()
	last := f.writer.store(counter("a"), older(t, "ended", pairedV1{1, 2}))
	if err := g.Wait(soon(t), "totals", last); err != nil {
		t.Fatal(err)
	}
	want := map[string]total{"a": {Sum: 2, Count: 1, By: map[string]int{"added": 1}}}
	if diff := cmp.Diff(want, everything(t, g, "totals", last)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

// A step that panics parks the stream. What waits is shown as it is stored, and
// what takes its place is of that schema, too: any build reads it alike.
func TestEditingAnOlderEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var broken atomic.Bool
		broken.Store(true)
		view := totals("totals")
		view.Events = olderEvents(&broken)
		g := newGroup(t, projector.Config{Log: f.log, Store: &projector.Memory{}, Projections: []projector.Definition{view}})
		defer running(t, g)()
		f.writer.store(counter("a"), older(t, "paired", pairedV1{1, 2}))
		last := f.writer.add("a", 4)
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "totals")
		if l.Kind != projector.KindDecode || l.Event != "paired" {
			t.Errorf("letter is %+v", l)
		}
		waiting, err := g.LetterEvents(soon(t), "totals", l.ID, 1)
		if err != nil || len(waiting) != 1 || string(waiting[0].Data) != `{"first":1,"second":2}` {
			t.Errorf("it waits as %+v, %v", waiting, err)
		}
		for data, want := range map[string]error{`{"n":1}`: store.ErrInvalid, `{"first":10,"second":20}`: nil} {
			if err := g.Edit(soon(t), "totals", l.ID, l.At, json.RawMessage(data), "me"); !errors.Is(err, want) {
				t.Errorf("edit to %s: %v, want %v", data, err, want)
			}
		}
		broken.Store(false)
		if l, err := g.Retry(soon(t), "totals", l.ID); err != nil || l.ID != "" {
			t.Fatalf("retried: %+v, %v", l, err)
		}
		if got := everything(t, g, "totals", last)["a"]; got.Sum != 34 || got.Count != 3 {
			t.Errorf("it is %+v", got)
		}
	})
}
