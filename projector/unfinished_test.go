package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// refusing returns a store that does not take a document of that key while on.
func refusing(s projector.Store, key string, on *atomic.Bool) *pickyStore {
	return &pickyStore{Store: s, refuses: func(w projector.Write) error {
		if on.Load() && slices.ContainsFunc(w.Documents, func(d projector.Document) bool { return d.Key == key }) {
			return &store.TooLargeError{What: "document " + key, Size: 2, Limit: 1}
		}
		return nil
	}}
}

// two parks the streams a and ba, which share documents, and returns their letters.
func (h *hospital) two(t *testing.T, g *projector.Group) (a, ba projector.DeadLetter) {
	t.Helper()
	h.writer.append(counter("a"), added{1}, added{2}, added{3})
	if err := g.Wait(soon(t), "histories", h.writer.append(counter("ba"), added{4}, added{5})); err != nil {
		t.Fatal(err)
	}
	letters, err := g.DeadLetters(soon(t), "histories")
	if err != nil || len(letters) != 2 || letters[0].Stream != counter("a") {
		t.Fatalf("letters are %+v, %v", letters, err)
	}
	return letters[0], letters[1]
}

func wantUnfinished(t *testing.T, g *projector.Group, l projector.DeadLetter) {
	t.Helper()
	if _, err := g.Retry(soon(t), "histories", l.ID); !errors.Is(err, projector.ErrUnfinished) {
		t.Errorf("retry of %s while another is not finished: %v", l.Stream, err)
	}
}

func wantReleased(t *testing.T, g *projector.Group, letters ...projector.DeadLetter) {
	t.Helper()
	for _, l := range letters {
		if left, err := g.Retry(soon(t), "histories", l.ID); err != nil || left.ID != "" {
			t.Errorf("retried: %+v, %v", left, err)
		}
	}
}

// An event touches more documents than one commit takes, and the store refuses
// one of the later ones: the letter still says that documents are ahead of it.
func TestARetryOfAWideEventThatIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t, place{counter("a"), 1}, place{counter("ba"), 1})
		keys := h.view.Keys
		h.view.Keys = func(e store.Recorded[event]) []string {
			all := keys(e)
			for i := 0; e.Stream.ID == "a" && e.Version == 1 && i < 1500; i++ {
				all = append(all, fmt.Sprintf("wide %d", i))
			}
			return all
		}
		var on atomic.Bool
		g := newGroup(t, projector.Config{Log: h.log, Store: refusing(h.memory, "wide 1400", &on), Projections: []projector.Definition{h.view}})
		running(t, g)
		a, ba := h.two(t, g)
		h.healed()
		on.Store(true)
		if l, err := g.Retry(soon(t), "histories", a.ID); err != nil || l.At != 1 || !strings.Contains(l.Error, "too large") {
			t.Errorf("retried: %+v, %v", l, err)
		}
		wantUnfinished(t, g, ba)
		on.Store(false)
		wantReleased(t, g, a, ba)
		want, _, last := plainHistories(t, h.fixture, h.view, nil)
		for _, key := range []string{"a", "shared a", "shared by all", "wide 0", "wide 1400", "wide 1499"} {
			d, err := g.Get(soon(t), "histories", key, last)
			if err != nil {
				t.Fatal(err)
			}
			var got history
			if err := json.Unmarshal(d.Document, &got); err != nil || !cmp.Equal(want[key], got) {
				t.Errorf("document %q (-want +got):\n%s%v", key, cmp.Diff(want[key], got), err)
			}
		}
	})
}

// A store that takes none of what an event comes to leaves its stream as free as
// it was: the event can be skipped, and others retried.
func TestARetryThatIsRefusedWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t, place{counter("a"), 1}, place{counter("ba"), 1})
		var on atomic.Bool
		g := newGroup(t, projector.Config{Log: h.log, Store: refusing(h.memory, "a", &on), Projections: []projector.Definition{h.view}})
		running(t, g)
		a, ba := h.two(t, g)
		h.healed()
		on.Store(true)
		if l, err := g.Retry(soon(t), "histories", a.ID); err != nil || l.At != 1 || !strings.Contains(l.Error, "too large") {
			t.Errorf("retried: %+v, %v", l, err)
		}
		wantReleased(t, g, ba)
		on.Store(false)
		if l, err := g.Skip(soon(t), "histories", a.ID, 1, "it is too large", "me"); err != nil || l.ID != "" {
			t.Errorf("skipped: %+v, %v", l, err)
		}
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

// tearing returns a store whose second commit from arming on is torn; then the
// event at p is ill again.
func (h *hospital) tearing(p place) (s *faults, arm func()) {
	var left atomic.Int64
	return &faults{memory: h.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		if left.Add(-1) != 0 {
			return none
		}
		h.ward.admit(p)
		return torn
	}}, func() { left.Store(2) }
}

// A retry of several events is interrupted, and finished only in part: what is left
// of it is still unfinished.
func TestARetryIsFinishedInPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t, place{counter("a"), 1}, place{counter("ba"), 1})
		failing, arm := h.tearing(place{counter("a"), 2})
		g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
		running(t, g)
		a, ba := h.two(t, g)
		h.healed()
		arm()
		if _, err := g.Retry(soon(t), "histories", a.ID); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("the retry was not interrupted: %v", err)
		}
		rest(time.Minute)
		letters, err := g.DeadLetters(soon(t), "histories")
		if err != nil || len(letters) != 2 || letters[0].At != 2 {
			t.Fatalf("letters are %+v, %v", letters, err)
		}
		wantUnfinished(t, g, ba)
		h.healed()
		wantReleased(t, g, a, ba)
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

// A group finishes an interrupted retry when it begins, with what its event was edited
// to: whoever has seen the letter before that edits nothing else.
func TestALetterMovesByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, a := newHospital(t), counter("a")
		failing, arm := h.tearing(place{a, 3})
		h.view.Keys = func(e store.Recorded[event]) []string { return []string{e.Stream.ID} }
		start := func() (*projector.Group, func()) {
			g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
			return g, running(t, g)
		}
		g, stop := start()
		d := &drama{f: h.fixture, r: rand.New(rand.NewPCG(1, 1)), ward: h.ward, torn: true}
		d.unreadable(a)
		d.unreadable(a)
		last := h.writer.append(a, added{3})
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		was := onlyLetter(t, g, "histories")
		if err := g.Edit(soon(t), "histories", was.ID, 1, []byte(`{"n":7}`), "me"); err != nil {
			t.Fatal(err)
		}
		arm()
		if _, err := g.Retry(soon(t), "histories", was.ID); !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("the retry was not interrupted: %v", err)
		}
		stop()
		g, _ = start()
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		var conflict *store.ConflictError
		if err := g.Edit(soon(t), "histories", was.ID, 1, []byte(`{"n":8}`), "me"); !errors.As(err, &conflict) || conflict.Actual != 2 {
			t.Errorf("edited at version 1: %v", err)
		}
		if now := onlyLetter(t, g, "histories"); now.ID != was.ID || now.At != 2 {
			t.Errorf("letter is %+v", now)
		}
		h.healed()
		d.clear(t, g, "histories")
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

// What a skip list has learned of an older parking waits until an interrupted
// retry of another is finished.
func TestASkipListWaitsForAnUnfinishedRetry(t *testing.T) {
	t.Parallel()
	for name, healed := range map[string]bool{"finished at once": true, "finished later": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHospital(t, place{counter("a"), 1}, place{counter("ba"), 1})
				failing, arm := h.tearing(place{counter("ba"), 1})
				g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
				stop := running(t, g)
				a, ba := h.two(t, g)
				h.healed()
				arm()
				if _, err := g.Retry(soon(t), "histories", ba.ID); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("the retry was not interrupted: %v", err)
				}
				rest(time.Minute)
				stop()
				if healed {
					h.healed()
				}
				h.view.Skip = []projector.SkipEvent{{Stream: a.Stream, Version: 1, Reason: "a test"}}
				g, _ = h.open(t)
				if err := g.Wait(soon(t), "histories", h.writer.add("c", 1)); err != nil {
					t.Fatal(err)
				}
				if !healed {
					wantUnfinished(t, g, a)
					h.healed()
					wantReleased(t, g, ba, a)
				}
				agreesWithHistories(t, h.fixture, g, h.view)
				if skipped, err := g.Skipped(soon(t), "histories"); err != nil || len(skipped) != 1 {
					t.Errorf("skipped are %+v, %v", skipped, err)
				}
			})
		})
	}
}

// An error of any length parks its stream, and stands in the letter cut.
func TestALongErrorIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		long := errors.New("so: " + strings.Repeat("né", 1<<20))
		did := &reacted{counts: map[string]int{}}
		def := did.reaction(1, 1)
		react := def.React
		def.React = func(ctx context.Context, e store.Recorded[event]) error {
			if e.Stream.ID == "bad" {
				return long
			}
			return react(ctx, e)
		}
		narrow := &pickyStore{Store: f.memory, refuses: func(w projector.Write) error {
			for _, n := range w.Notes {
				if len(n.Value) > 1<<20 {
					return &store.TooLargeError{What: "note", Size: len(n.Value), Limit: 1 << 20}
				}
			}
			return nil
		}}
		g := newGroup(t, projector.Config{Log: f.log, Store: narrow, Projections: []projector.Definition{def}})
		running(t, g)
		f.writer.add("bad", 1)
		ctx, cancel := withTimeout(t, time.Minute)
		defer cancel()
		if err := g.Wait(ctx, "totals", f.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "totals")
		again, err := g.Retry(soon(t), "totals", l.ID)
		if err != nil || again.Attempts != l.Attempts+1 {
			t.Errorf("retried: %+v, %v", again, err)
		}
		for _, text := range []string{l.Error, again.Error} {
			if n := len(text); n > 4<<10 || n < 4<<10-4 || !utf8.ValidString(text) || !strings.HasPrefix(text, "so: né") || !strings.HasSuffix(text, "…") {
				t.Errorf("error has %d bytes: %.20q", n, text)
			}
		}
	})
}
