package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// TestDocumentsOfThePast: at any position, and at any time, a document is the
// fold of what the log had by then, also while the view has one that is stored.
func TestDocumentsOfThePast(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ANNALS_SEED: %v", err)
		}
	}
	t.Logf("ANNALS_SEED=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 3))
		f := newFixture(t)
		view := totals("sums")
		view.Gone = func(d total) bool { return d.Count%7 == 6 } // now and then it is not there
		view.Workers = 1 + r.IntN(3)
		g := f.group(t, view)
		defer running(t, g)()
		var times []time.Time
		for range 40 {
			f.writer.random(r, 1+r.IntN(3), 4)
			times = append(times, time.Now())
			time.Sleep(time.Duration(1+r.IntN(10)) * time.Second)
		}
		tip, err := f.log.Tip(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(soon(t), "sums", tip); err != nil {
			t.Fatal(err)
		}
		there, not := 0, 0
		for range 200 {
			at := projector.Moment{Position: store.PositionOf(1+r.Uint64N(tip.Sequence()), r.IntN(4))}
			if at.Position > tip || r.IntN(3) == 0 {
				at = projector.Moment{Time: times[r.IntN(len(times))]}
			}
			key := []string{"c-0", "c-1", "c-2", "c-3", "all of them"}[r.IntN(5)]
			want, position := foldBy(t, f.log, view, key, at)
			got, err := g.GetAt(soon(t), "sums", key, at)
			if want == nil {
				not++
				if !errors.Is(err, store.ErrNotFound) {
					t.Fatalf("%s at %+v: %+v, %v, want none", key, at, got, err)
				}
				continue
			}
			there++
			if err != nil {
				t.Fatalf("%s at %+v: %v", key, at, err)
			}
			if d := cmp.Diff(*want, decoded(t, got)); d != "" || got.Position != position || got.Key != key {
				t.Fatalf("%s at %+v: position %d, want %d (-want +got):\n%s", key, at, got.Position, position, d)
			}
		}
		if there < 50 || not == 0 {
			t.Errorf("%d documents were there and %d were not: too few", there, not)
		}
	})
}

// foldBy is the fold of one document as plainly as can be; nil if it is not there.
func foldBy(t *testing.T, log store.Log, view projector.Documents[event, total], key string, at projector.Moment) (d *total, position store.Position) {
	t.Helper()
	for e := range recorded(t, log, view.Types...) {
		if at.Position > 0 && e.Position > at.Position || !at.Time.IsZero() && e.Time.After(at.Time) {
			continue
		}
		data, err := events.Decode(log.Codec(), e.Type, e.Schema, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		typed := store.WithData(e, data)
		for _, k := range view.Keys(typed) {
			if k != key {
				continue
			}
			if d == nil {
				d = &total{}
			}
			next := view.Fold(key, *d, typed)
			d, position = &next, e.Position
			if view.Gone != nil && view.Gone(next) {
				d = nil
			}
		}
	}
	return d, position
}

// What was skipped is left out of the past as well, and what cannot be applied
// holds up no other stream.
func TestPastOfAViewWithDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := counter("a"), counter("b")
		h := newHospital(t, place{a, 2}, place{b, 2})
		g, stop := h.open(t)
		defer stop()
		h.writer.append(a, added{1}, added{2}, added{3})
		h.writer.append(b, added{1}, added{2})
		last := h.writer.append(b, added{3})
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), "histories")
		if err != nil || len(letters) != 2 {
			t.Fatal(letters, err)
		}
		for _, l := range letters {
			if l.Stream != a {
				continue
			}
			if _, err := g.Skip(soon(t), "histories", l.ID, l.At, "it is ill", "me"); err != nil {
				t.Fatal(err)
			}
		}
		for key, want := range map[string]int{"a": 2, "b": 1} {
			now, err := g.Get(soon(t), "histories", key, 0)
			if err != nil {
				t.Fatal(err)
			}
			then, err := g.GetAt(soon(t), "histories", key, projector.Moment{Time: time.Now()})
			if err != nil || string(then.Document) != string(now.Document) || then.Position != now.Position {
				t.Errorf("%s folded from the log: %s at %d, %v; the view has %s at %d", key, then.Document, then.Position, err, now.Document, now.Position)
			}
			var d history
			if err := json.Unmarshal(then.Document, &d); err != nil || len(d.Seen[key]) != want {
				t.Errorf("%s has %s, want %d events", key, then.Document, want)
			}
		}
	})
}

func TestPastsThatAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	position := f.writer.add("a", 1)
	reaction := projector.Reaction[event]{
		Name: "reaction", Types: []string{"counter"}, Events: events, React: func(context.Context, store.Recorded[event]) error { return nil },
	}
	g := f.group(t, totals("sums"), reaction)
	running(t, g)
	here := projector.Moment{Position: position}
	ended, cancel := context.WithCancel(t.Context())
	if err := g.Wait(soon(t), "sums", position); err != nil {
		t.Fatal(err)
	}
	cancel()
	for name, c := range map[string]struct {
		view, key string
		at        projector.Moment
		want      error
	}{
		"no view":             {"nothing", "a", here, projector.ErrNoView},
		"no documents":        {"reaction", "a", here, projector.ErrNoDocuments},
		"no key":              {"sums", "", here, store.ErrInvalid},
		"no moment":           {"sums", "a", projector.Moment{}, store.ErrInvalid},
		"two moments":         {"sums", "a", projector.Moment{Position: 1, Time: time.Now()}, store.ErrInvalid},
		"a position to come":  {"sums", "a", projector.Moment{Position: position + 1}, store.ErrInvalid},
		"no such document":    {"sums", "b", here, store.ErrNotFound},
		"before its creation": {"sums", "a", projector.Moment{Time: time.Unix(1, 0)}, store.ErrNotFound},
	} {
		if d, err := g.GetAt(t.Context(), c.view, c.key, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v, want %v", name, d, err, c.want)
		}
	}
	if _, err := g.GetAt(ended, "sums", "a", projector.Moment{Time: time.Now()}); !errors.Is(err, context.Canceled) {
		t.Errorf("no time left: %v", err)
	}
}

// Each reads its part of the log, so there are only some at a time.
func TestPastsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		position := f.writer.add("a", 1)
		view := totals("sums")
		var slow bool
		entered, release := make(chan struct{}, 10), make(chan struct{})
		fold := view.Fold
		view.Fold = func(key string, d total, e store.Recorded[event]) total {
			if slow {
				entered <- struct{}{}
				<-release
			}
			return fold(key, d, e)
		}
		g := f.group(t, view)
		defer running(t, g)()
		if err := g.Wait(soon(t), "sums", position); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		slow = true
		done := make(chan error, 4)
		at := projector.Moment{Time: time.Now()}
		for range 4 {
			go func() {
				_, err := g.GetAt(soon(t), "sums", "a", at)
				done <- err
			}()
			<-entered
		}
		if _, err := g.GetAt(soon(t), "sums", "a", at); !errors.Is(err, projector.ErrBusy) {
			t.Errorf("the fifth: %v", err)
		}
		close(release)
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// The past of a document is what its own worker made of the log: what another worker
// skipped it has applied, and where a stream is parked it has nothing of it.
func TestPastIsThatOfTheDocumentsWorker(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { pastOfWorkers(t, workers) })
		})
	}
}

func pastOfWorkers(t *testing.T, workers int) {
	f := newFixture(t)
	view := histories(never, workers)
	fold := view.Fold
	view.Fold = func(key string, h history, e store.Recorded[event]) history {
		if key == e.Stream.ID && e.Version == 2 {
			panic("it is ill")
		}
		return fold(key, h, e)
	}
	g := f.group(t, view)
	defer running(t, g)()
	var last store.Position
	var streams []store.StreamID
	for i := range 9 {
		streams = append(streams, counter(fmt.Sprintf("s-%d", i)))
		last = f.writer.append(streams[i], added{1}, added{2}, added{3})
	}
	if err := g.Wait(soon(t), "histories", last); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		keys := []string{"shared by all"}
		for i, s := range streams {
			keys = append(keys, s.ID, fmt.Sprintf("shared %d", i))
		}
		for _, key := range keys {
			now, err := g.Get(soon(t), "histories", key, 0)
			if err != nil {
				t.Fatal(err)
			}
			then, err := g.GetAt(soon(t), "histories", key, projector.Moment{Time: time.Now()})
			if err != nil || string(then.Document) != string(now.Document) {
				t.Errorf("%s: %q folded from the log: %s, %v; the view has %s", when, key, then.Document, err, now.Document)
			}
		}
	}
	check("parked")
	letters, err := g.DeadLetters(soon(t), "histories")
	if err != nil || len(letters) != 9 {
		t.Fatal(letters, err)
	}
	for _, l := range letters[:5] {
		if _, err := g.Skip(soon(t), "histories", l.ID, l.At, "it is ill", "me"); err != nil {
			t.Fatal(err)
		}
	}
	check("skipped")
}
