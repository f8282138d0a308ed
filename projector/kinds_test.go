package projector_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// plainRows is what an SQL view of the log has, by plain means.
func plainRows(t *testing.T, f *fixture, skipped []projector.Skipped) (map[string][]string, store.Position) {
	t.Helper()
	leftOut := map[place]bool{}
	for _, s := range skipped {
		leftOut[place{s.Stream, s.At}] = true
	}
	rows, last := map[string][]string{}, store.Position(0)
	for e := range recorded(t, f.log, "counter") {
		last = e.Position
		if leftOut[place{e.Stream, e.Version}] {
			continue
		}
		typed := store.WithData[[]byte, event](e, added{N: editedTo})
		if data, err := events.Decode(f.log.Codec(), e.Type, e.Schema, e.Data); err == nil {
			typed.Data = data
		}
		rows[e.Stream.ID] = append(rows[e.Stream.ID], said(typed))
	}
	return rows, last
}

// The drama of the dead letters, on a store as databases are: with documents, with
// rows, and with reactions. Rows are changed exactly once, and what was reacted to
// was reacted to in order, without a gap.
func TestKindsLoseNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"documents", "tables", "reaction"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			eachSeed(t, func(t *testing.T, r *rand.Rand) {
				f := newFixture(t)
				d := &drama{f: f, r: r, ward: &ward{ill: map[place]bool{}}}
				var repaired atomic.Bool
				luck := newDice(r)
				kept := newTableStore()
				kept.faults = &faults{onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
					if repaired.Load() || luck.IntN(8) > 0 {
						return none
					}
					return fault(1 + luck.IntN(3))
				}}
				reacted := &reactions{seen: map[store.StreamID][]uint64{}}
				workers := 1 + r.IntN(3)
				histories := histories(d.ward.is, workers)
				def := map[string]projector.Definition{
					"documents": histories, "tables": rowsOf(kept, workers, d.ward.is), "reaction": reacted.definition(workers, d.ward.is),
				}[kind]
				view := def.Describe().Name
				log := &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(40) == 0 }}
				registry := &projector.MemoryRegistry{}
				start := func() (*projector.Group, func()) {
					cfg := randomConfig(r)
					cfg.Log, cfg.Store, cfg.Registry, cfg.Projections = log, kept, registry, []projector.Definition{def}
					cfg.Attempts = 1 + r.IntN(3)
					g := newGroup(t, cfg)
					return g, running(t, g)
				}
				g, stop := start()
				for range 25 {
					d.append(r.IntN(8))
					rest(time.Duration(r.IntN(2000)) * time.Millisecond)
					switch r.IntN(5) {
					case 0:
						d.ward.heal(func() bool { return r.IntN(2) == 0 })
					case 1:
						stop()
						g, stop = start()
					default:
						d.operate(t, g, view)
					}
				}
				repaired.Store(true)
				d.ward.heal(func() bool { return true })
				stop()
				g, _ = start()
				_, last := plainRows(t, f, nil)
				if err := g.Wait(soon(t), view, last); err != nil {
					t.Fatal(err)
				}
				d.clear(t, g, view)
				skipped, err := g.Skipped(soon(t), view)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := plainRows(t, f, skipped)
				switch kind {
				case "documents":
					agreesWithHistories(t, f, g, histories)
				case "tables":
					if diff := cmp.Diff(want, kept.committed()); diff != "" {
						t.Errorf("rows (-want +got):\n%s", diff)
					}
				case "reaction":
					reacted.check(t, f, skipped)
				}
			})
		})
	}
}

// reactions notes what was reacted to.
type reactions struct {
	mu   sync.Mutex
	seen map[store.StreamID][]uint64
}

func (x *reactions) definition(workers int, ill func(store.Recorded[event]) bool) projector.Reaction[event] {
	return projector.Reaction[event]{
		Name: "mails", Types: []string{"counter"}, Events: events, Workers: workers,
		React: func(_ context.Context, e store.Recorded[event]) error {
			if ill(e) {
				return errors.New("nobody answers")
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			x.seen[e.Stream] = append(x.seen[e.Stream], e.Version)
			return nil
		},
	}
}

// check looks for gaps: when an event came for the first time, all before it had
// come, but for those that were skipped.
func (x *reactions) check(t *testing.T, f *fixture, skipped []projector.Skipped) {
	t.Helper()
	leftOut := map[place]bool{}
	for _, s := range skipped {
		leftOut[place{s.Stream, s.At}] = true
	}
	ends := map[store.StreamID]uint64{}
	for e := range recorded(t, f.log, "counter") {
		ends[e.Stream] = e.Version
	}
	for stream, end := range ends {
		next := uint64(1)
		for _, v := range x.seen[stream] {
			for next < v && leftOut[place{stream, next}] {
				next++
			}
			if v > next {
				t.Fatalf("%s: reacted to version %d before %d: %v", stream, v, next, x.seen[stream])
			}
			next = max(next, v+1)
		}
		for leftOut[place{stream, next}] {
			next++
		}
		if next != end+1 {
			t.Errorf("%s: reacted up to version %d of %d", stream, next-1, end)
		}
	}
}

func never(store.Recorded[event]) bool { return false }

// An SQL view answers with its own Get, and has no documents to list.
func TestTablesAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, kept := newFixture(t), newTableStore()
		mute := rowsOf(kept, 1, never)
		mute.Name, mute.Get = "mute", nil
		mute.Apply = func(context.Context, *sql.Tx, store.Recorded[event]) error { return nil }
		reacted := &reactions{seen: map[store.StreamID][]uint64{}}
		g := newGroup(t, projector.Config{Log: f.log, Store: kept, Projections: []projector.Definition{
			rowsOf(kept, 2, never), mute, reacted.definition(1, never),
		}})
		running(t, g)
		last := f.writer.add("a", 5)
		d, err := g.Get(soon(t), "rows", "a", last)
		if want := `{"seen":["1 added {\"n\":5}"]}`; err != nil || string(d.Document) != want || d.Key != "a" || d.Position != last {
			t.Errorf("got %s at %d, %v; want %s", d.Document, d.Position, err, want)
		}
		if _, err := g.Get(soon(t), "rows", "b", last); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what is not there: %v", err)
		}
		for _, view := range []string{"mute", "mails"} {
			if _, err := g.Get(soon(t), view, "a", last); !errors.Is(err, projector.ErrNoDocuments) {
				t.Errorf("get from %s: %v", view, err)
			}
		}
		for _, view := range []string{"rows", "mute", "mails"} {
			if _, _, err := g.List(soon(t), view, "", 10, last); !errors.Is(err, projector.ErrNoDocuments) || !errors.Is(err, store.ErrInvalid) {
				t.Errorf("list of %s: %v", view, err)
			}
		}
	})
}

// An error of the database, or of what a reaction calls, has the worker wait, and
// parks nothing, however long it takes.
func TestAnUnavailableHandlerParksNothing(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]error{
		"unavailable": fmt.Errorf("mail server: %w", store.ErrUnavailable), "connection": sql.ErrConnDone, "serialization": sqlState("40001"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, kept := newFixture(t), newTableStore()
				var back atomic.Bool
				view := rowsOf(kept, 1, never)
				apply := view.Apply
				view.Apply = func(ctx context.Context, tx *sql.Tx, e store.Recorded[event]) error {
					if !back.Load() {
						return fmt.Errorf("insert: %w", reason)
					}
					return apply(ctx, tx, e)
				}
				g := newGroup(t, projector.Config{Log: f.log, Store: kept, Projections: []projector.Definition{view}})
				running(t, g)
				last := f.writer.add("a", 1)
				rest(time.Minute)
				if s := statusOf(t, g, "rows"); s.State != projector.StateFailed || s.Parked != 0 {
					t.Errorf("status is %+v", s)
				}
				back.Store(true)
				if _, err := g.Get(soon(t), "rows", "a", last); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// sqlState is an error as PostgreSQL's driver has them.
type sqlState string

func (s sqlState) Error() string    { return "SQLSTATE " + string(s) }
func (s sqlState) SQLState() string { return string(s) }

// Only the wire types that are asked for are decoded; the others count.
func TestOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		d := &drama{f: f, r: rand.New(rand.NewPCG(1, 1)), ward: &ward{ill: map[place]bool{}}}
		view := totals("closings")
		view.Only = []string{"closed"}
		g := f.group(t, view)
		running(t, g)
		a := store.StreamID{Type: "counter", ID: "a"}
		f.writer.append(a, added{1}, closed{}, added{2})
		d.unreadable(a)
		last := f.writer.append(a, closed{}, added{3})
		doc, err := g.Get(soon(t), "closings", "a", last)
		if err != nil || decoded(t, doc).Count != 2 || decoded(t, doc).Sum != 0 {
			t.Errorf("document is %s, %v", doc.Document, err)
		}
		s := statusOf(t, g, "closings")
		if s.Events != 6 || s.Checkpoint != last || s.Parked != 0 || s.State != projector.StateLive {
			t.Errorf("status is %+v", s)
		}
		if v, err := g.Verify(soon(t), "closings", false); err != nil || !v.Workers[0].Equal {
			t.Errorf("verification is %+v, %v", v, err)
		}
	})
}

// What the skip list names is left out and recorded: when it comes, and when its
// stream is parked at it already.
func TestSkipList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := store.StreamID{Type: "counter", ID: "a"}
		ill := &ward{ill: map[place]bool{{a, 1}: true, {a, 3}: true, {a, 5}: true}}
		view := histories(ill.is, 1)
		view.Skip = []projector.SkipEvent{{Stream: a, Version: 1, Reason: "a test"}}
		g := f.group(t, view)
		stop := running(t, g)
		f.writer.append(a, added{1}, added{2}, added{3}, added{4}, added{5})
		last := f.writer.add("a", 6)
		if err := g.Wait(soon(t), view.Name, last); err != nil {
			t.Fatal(err)
		}
		if l := onlyLetter(t, g, view.Name); l.At != 3 || l.Queued != 3 {
			t.Errorf("letter is %+v", l)
		}
		stop()
		view.Skip = append(view.Skip, projector.SkipEvent{Stream: a, Version: 5, Reason: "another"}, projector.SkipEvent{Stream: a, Version: 3, Reason: "another"})
		g = f.group(t, view)
		running(t, g)
		if err := g.Wait(soon(t), view.Name, last); err != nil {
			t.Fatal(err)
		}
		agreesWithHistories(t, f, g, view)
		skipped, err := g.Skipped(soon(t), view.Name)
		if err != nil || len(skipped) != 3 || skipped[0].At != 1 || skipped[2].Reason != "another" || skipped[1].By != "skip list" {
			t.Errorf("skipped are %+v, %v", skipped, err)
		}
	})
}

// A reaction that begins now reacts to what comes, also after a restart before
// anything came.
func TestReactionFromNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		reacted := &reactions{seen: map[store.StreamID][]uint64{}}
		def := reacted.definition(2, never)
		def.From = projector.FromNow
		f.writer.add("a", 1)
		f.writer.append(store.StreamID{Type: "counter", ID: "b"}, added{1}, added{2})
		stop := running(t, f.group(t, def))
		rest(time.Minute)
		stop()
		last := f.writer.add("a", 2)
		g := f.group(t, def)
		running(t, g)
		if err := g.Wait(soon(t), "mails", last); err != nil {
			t.Fatal(err)
		}
		a := store.StreamID{Type: "counter", ID: "a"}
		if !slices.Equal(reacted.seen[a], []uint64{2}) || len(reacted.seen) != 1 {
			t.Errorf("reacted to %v", reacted.seen)
		}
		if v, err := g.Verify(soon(t), "mails", false); err != nil || len(v.Workers) != 2 || !v.Workers[0].Equal || !v.Workers[1].Equal {
			t.Errorf("verification is %+v, %v", v, err)
		}
	})
}

// Another number of workers would leave documents to nobody, or to two.
func TestAnotherNumberOfWorkersIsRefused(t *testing.T) {
	t.Parallel()
	for _, workers := range [][2]int{{1, 3}, {3, 1}, {2, 3}} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				first := f.group(t, histories(never, workers[0]))
				stop := running(t, first)
				last := f.writer.add("a", 1)
				if err := first.Wait(soon(t), "histories", last); err != nil {
					t.Fatal(err)
				}
				stop()
				g := f.group(t, histories(never, workers[1]))
				running(t, g)
				rest(time.Minute)
				s := statusOf(t, g, "histories")
				if want := fmt.Sprintf("was built by %d workers and now has %d", workers[0], workers[1]); s.State != projector.StateFailed || !strings.Contains(s.Error, want) {
					t.Errorf("status is %+v, want %q", s, want)
				}
			})
		})
	}
}
