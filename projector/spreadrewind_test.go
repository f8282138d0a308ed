package projector_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Nothing comes after the rewinding that a worker elsewhere would write, so it has to
// find out by itself.
func TestSpreadRewindOfAQuietView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		kept := newTableStore()
		view := rowsOf(kept, 3, never)
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config { return projector.Config{Store: kept} }, view)
		to := f.writer.add("c-0", 1)
		var last store.Position
		for i := range 12 {
			last = f.writer.add(fmt.Sprintf("c-%d", i), 1)
		}
		g := x.home("rows")
		if err := g.Wait(soon(t), "rows", last); err != nil {
			t.Fatal(err)
		}
		rest(time.Minute)
		if err := g.Rewind(soon(t), "rows", to); err != nil {
			t.Fatal(err)
		}
		rest(10 * time.Second)
		if err := g.Wait(soon(t), "rows", last); err != nil {
			t.Fatalf("after the rewinding: %v", err)
		}
		for id, rows := range kept.committed() {
			want := 2
			if id == "c-0" {
				want = 3
			}
			if len(rows) != want {
				t.Errorf("%s has %d rows, want %d", id, len(rows), want)
			}
		}
	})
}

// A worker that has not come as far as the position refuses the rewinding before any
// other is rewound.
func TestRewindIsOfAllWorkersOrNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		kept := newTableStore()
		view := rowsOf(kept, 3, never)
		x := newTrio(t, f, &projector.MemoryRegistry{}, func(int) projector.Config { return projector.Config{Store: kept} }, view)
		last := f.writer.add("c-0", 1)
		if err := x.home("rows").Wait(soon(t), "rows", last); err != nil {
			t.Fatal(err)
		}
		duty := "rows.v1.2"
		x.assigned[x.who[duty]].Withdraw(duty)
		stopped(t, x.groups[x.who[duty]], duty)
		var to store.Position
		for i := range 12 {
			to = f.writer.add(fmt.Sprintf("c-%d", i), 1)
		}
		for i := range 12 {
			f.writer.add(fmt.Sprintf("c-%d", i), 1)
		}
		rest(time.Minute)
		before := positionsOf(t, x.home("rows"), "rows")
		if err := x.home("rows").Rewind(soon(t), "rows", to); err == nil {
			t.Error("rewound to what a worker has not reached")
		}
		rest(time.Minute)
		if after := positionsOf(t, x.home("rows"), "rows"); !slices.Equal(before, after) {
			t.Errorf("rewound in part: %v, before %v", after, before)
		}
		counts := map[string]int{}
		for e := range recorded(t, f.log, "counter") {
			counts[e.Stream.ID]++
		}
		for id, rows := range kept.committed() {
			if len(rows) > counts[id] {
				t.Errorf("%s has %d rows, want at most %d", id, len(rows), counts[id])
			}
		}
	})
}

// A reaction that begins now begins for all of its workers when the first one does,
// however late the others come.
func TestSpreadReactionFromNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		reacted := &reactions{seen: map[store.StreamID][]uint64{}}
		def := reacted.definition(3, never)
		def.From = projector.FromNow
		f.writer.add("before", 1)
		registry := &projector.MemoryRegistry{}
		g, assigned := f.assigned(t, projector.Config{Registry: registry, Spread: true, Projections: []projector.Definition{def}})
		running(t, g)
		assigned.Assign("mails")
		rest(time.Minute)
		var last store.Position
		for i := range 12 {
			last = f.writer.add(fmt.Sprintf("c-%d", i), 1)
		}
		rest(time.Minute)
		assigned.Assign("mails.v1.1")
		rest(time.Minute)
		if err := g.Pause(soon(t), "mails"); err != nil {
			t.Fatal(err)
		}
		assigned.Assign("mails.v1.2")
		if err := g.Resume(soon(t), "mails"); err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(soon(t), "mails", last); err != nil {
			t.Fatal(err)
		}
		if len(reacted.seen) != 12 {
			t.Errorf("reacted to %d streams, want 12: %v", len(reacted.seen), reacted.seen)
		}
		if _, ok := reacted.seen[counter("before")]; ok {
			t.Error("reacted to what was before")
		}
	})
}
