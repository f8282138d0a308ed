package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// hospital is a view some of whose events are ill.
type hospital struct {
	*fixture
	ward *ward
	view projector.Documents[event, history]
}

func newHospital(t *testing.T, ill ...place) *hospital {
	w := &ward{ill: map[place]bool{}}
	for _, p := range ill {
		w.admit(p)
	}
	return &hospital{newFixture(t), w, histories(w.is, 1)}
}

func (h *hospital) healed() { h.ward.heal(func() bool { return true }) }

func (h *hospital) open(t *testing.T) (g *projector.Group, stop func()) {
	t.Helper()
	g = h.group(t, h.view)
	return g, running(t, g)
}

func counter(id string) store.StreamID { return store.StreamID{Type: "counter", ID: id} }

// The stream alone waits: the lag of all others returns to 0. What waits is
// listed with its data, and a restart knows of it.
func TestAParkedStreamHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 2})
		g, stop := h.open(t)
		h.writer.append(a, added{1}, added{2}, added{3})
		began := time.Now()
		last := h.writer.add("b", 1)
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the others waited %v", took)
		}
		h.writer.append(a, added{4})
		began = time.Now()
		last = h.writer.add("b", 2)
		if err := g.Wait(soon(t), "histories", last); err != nil || time.Since(began) > time.Second {
			t.Errorf("once it is parked: %v after %v", err, time.Since(began))
		}
		for range 2 {
			if s := statusOf(t, g, "histories"); s.LagEvents != 0 || s.LagSeconds != 0 || s.Parked != 1 || s.State != projector.StateLive {
				t.Errorf("status is %+v", s)
			}
			l := onlyLetter(t, g, "histories")
			if l.Stream != a || l.At != 2 || l.Queued != 2 {
				t.Errorf("letter is %+v", l)
			}
			waiting, err := g.LetterEvents(soon(t), "histories", l.ID, 2)
			if err != nil || len(waiting) != 2 || waiting[0].At != 2 || string(waiting[0].Data) != `{"n":2}` || waiting[1].At != 3 || waiting[1].Event != "added" {
				t.Errorf("events are %+v, %v", waiting, err)
			}
			stop()
			g, stop = h.open(t)
			if err := g.Wait(soon(t), "histories", last); err != nil {
				t.Fatal(err)
			}
		}
		h.healed()
		if l, err := g.Retry(soon(t), "histories", onlyLetter(t, g, "histories").ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

// A retry that fails again leaves the stream at the event that failed, be it
// another one, and what came before that is in the documents.
func TestARetryStopsAtTheNextIllEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 1}, place{a, 3})
		g, _ := h.open(t)
		last := h.writer.append(a, added{1}, added{2}, added{3}, added{4})
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		first := onlyLetter(t, g, "histories")
		again, err := g.Retry(soon(t), "histories", first.ID)
		if err != nil || again.At != 1 || again.Attempts != first.Attempts+1 || !again.Tried.Equal(time.Now()) || again.Tried.Equal(first.Tried) == time.Now().After(first.Tried) {
			t.Errorf("letter is %+v, %v; was %+v", again, err, first)
		}
		h.ward.heal(func() bool { return true })
		h.ward.admit(place{a, 3})
		again, err = g.Retry(soon(t), "histories", first.ID)
		if err != nil || again.At != 3 || again.ID != first.ID || again.Queued != 1 || again.Kind != projector.KindHandler || again.Attempts != 1 {
			t.Errorf("letter is %+v, %v", again, err)
		}
		d, err := g.Get(soon(t), "histories", "a", last)
		if want := `{"seen":{"a":["1 +1","2 +2"]}}`; err != nil || string(d.Document) != want {
			t.Errorf("document is %s, %v; want %s", d.Document, err, want)
		}
		if again, err = g.Skip(soon(t), "histories", first.ID, 3, "it is ill for ever", "me"); err != nil || again.ID != "" {
			t.Errorf("skipped: %+v, %v", again, err)
		}
		skipped, err := g.Skipped(soon(t), "histories")
		want := []projector.Skipped{{
			Model: projector.Model{View: "histories", Version: 1}, Worker: "0", Stream: a, At: 3, Position: store.PositionOf(1, 2), Event: "added",
			Error: "panic: it is ill", Reason: "it is ill for ever", By: "me", Time: time.Now().UTC(),
		}}
		if diff := cmp.Diff(want, skipped); diff != "" || err != nil {
			t.Errorf("skipped (-want +got):\n%s%v", diff, err)
		}
		h.healed()
		agreesWithHistories(t, h.fixture, g, h.view)
		if v, err := g.Verify(soon(t), "histories", true); err != nil || !v.Workers[0].Equal || v.Documents.Differences != 0 || v.Documents.Compared == 0 {
			t.Errorf("verification is %+v, %v", v, err)
		}
	})
}

func TestEditing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t)
		g, _ := h.open(t)
		(&drama{f: h.fixture}).unreadable(a)
		last := h.writer.append(a, added{2})
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "histories")
		good := json.RawMessage(`{"n":7}`)
		refusals := map[uint64]error{1: store.ErrInvalid, 2: store.ErrConflict}
		for name, c := range map[string]struct {
			at   uint64
			data string
		}{
			"another event": {2, `{"n":7}`}, "no JSON": {1, `{`}, "no data": {1, ``}, "an unknown member": {1, `{"m":7}`}, "another type": {1, `{"n":"7"}`},
		} {
			if err := g.Edit(soon(t), "histories", l.ID, c.at, json.RawMessage(c.data), "me"); !errors.Is(err, refusals[c.at]) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := g.Edit(soon(t), "histories", l.ID, 1, good, "me"); err != nil {
			t.Fatal(err)
		}
		if l = onlyLetter(t, g, "histories"); string(l.Edited) != string(good) || l.By != "me" || l.At != 1 {
			t.Errorf("letter is %+v", l)
		}
		if l, err := g.Retry(soon(t), "histories", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

func TestLettersThatAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		g, _ := h.open(t)
		_, noEvents := g.LetterEvents(soon(t), "histories", "x", 0)
		_, noRetry := g.Retry(soon(t), "histories", "x")
		_, noSkip := g.Skip(soon(t), "histories", "x", 1, "why", "me")
		for what, err := range map[string]error{
			"events": noEvents, "retry": noRetry, "skip": noSkip, "edit": g.Edit(soon(t), "histories", "x", 1, json.RawMessage(`{}`), "me"),
		} {
			if !errors.Is(err, projector.ErrNoLetter) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := g.Skip(soon(t), "histories", "x", 1, "", "me"); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("skipped for no reason: %v", err)
		}
		if _, err := g.DeadLetters(soon(t), "nothing"); !errors.Is(err, projector.ErrNoView) {
			t.Errorf("of no view: %v", err)
		}
		if all, err := g.DeadLetters(soon(t), "histories"); err != nil || len(all) != 0 {
			t.Errorf("letters are %v, %v", all, err)
		}
	})
}

// So many streams are parked and no more: the next one stops the view, loudly,
// until there is room.
func TestParkedStreamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		out, registry := &logged{}, prometheus.NewPedanticRegistry()
		g := newGroup(t, projector.Config{
			Log: h.log, Store: h.memory, Projections: []projector.Definition{h.view}, MaxParked: 3, Attempts: 2, Logger: out.logger(), Registerer: registry,
		})
		running(t, g)
		for i := range 5 {
			id := fmt.Sprintf("c%d", i)
			h.ward.admit(place{counter(id), 1})
			h.writer.add(id, 1)
		}
		last := h.writer.add("well", 1)
		rest(5 * time.Minute)
		s := statusOf(t, g, "histories")
		if s.State != projector.StateFailed || s.Parked != 3 || !strings.Contains(s.Error, "too many parked streams: 3") || !strings.Contains(s.Error, "counter/c3 at version 1") {
			t.Errorf("status is %+v", s)
		}
		if got := gathered(t, registry); got["annals_dlq_messages/histories"] != 3 || got["annals_projection_parked_total/histories"] != 3 {
			t.Errorf("metrics are %v", got)
		}
		for range 2 { // an operator is heard all the same
			letters, err := g.DeadLetters(soon(t), "histories")
			if err != nil || len(letters) == 0 {
				t.Fatal(letters, err)
			}
			if _, err := g.Skip(soon(t), "histories", letters[0].ID, letters[0].At, "to make room", "me"); err != nil {
				t.Error(err)
			}
			rest(5 * time.Minute)
		}
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Error(err)
		}
		if got := gathered(t, registry); got["annals_dlq_messages/histories"] != 3 || got["annals_projection_skipped_total/histories"] != 2 {
			t.Errorf("metrics are %v", got)
		}
	})
}

// A document that the store does not take parks the stream of the event that made
// it so large, and no other.
func TestADocumentThatIsTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		narrow := &narrowStore{h.memory, 400}
		g := newGroup(t, projector.Config{Log: h.log, Store: narrow, Projections: []projector.Definition{h.view}})
		for i := range 30 {
			h.writer.add("a", i)
			h.writer.add(fmt.Sprintf("other %d", i), i)
		}
		running(t, g)
		if err := g.Wait(soon(t), "histories", h.writer.add("z", 1)); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), "histories")
		if err != nil || len(letters) == 0 || letters[0].Kind != projector.KindHandler || !strings.Contains(letters[0].Error, "too large") {
			t.Errorf("letters are %+v, %v", letters, err)
		}
	})
}

// narrowStore takes documents of so many bytes.
type narrowStore struct {
	projector.Store
	most int
}

func (s *narrowStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return narrowView{v, s.most}, err
}

type narrowView struct {
	projector.View
	most int
}

func (v narrowView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	for _, d := range w.Documents {
		if len(d.Document) > v.most {
			return projector.Checkpoint{}, &store.TooLargeError{What: "document", Size: len(d.Document), Limit: v.most}
		}
	}
	return v.View.Commit(ctx, w)
}

// An order waits for a store that is away; the outcome is definite or an error.
func TestARetryWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 1})
		var away atomic.Bool
		failing := &faults{memory: h.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if away.Load() {
				return lost
			}
			return none
		}}
		g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
		running(t, g)
		if err := g.Wait(soon(t), "histories", h.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		h.healed()
		l := onlyLetter(t, g, "histories")
		away.Store(true)
		if _, err := g.Retry(soon(t), "histories", l.ID); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("retried: %v", err)
		}
		if l = onlyLetter(t, g, "histories"); l.At != 1 {
			t.Errorf("letter is %+v", l)
		}
		away.Store(false)
		if l, err := g.Retry(soon(t), "histories", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}

// A store that is away for a minute parks nothing, however many events come
// meanwhile, and what came is applied when it is back.
func TestAStoreThatIsAwayParksNothing(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"lost": lost, "unheard": unheard} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHospital(t)
				began, refused := time.Now(), 0
				failing := &faults{memory: h.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
					if time.Since(began) < time.Minute {
						refused++
						return kind
					}
					return none
				}}
				g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
				running(t, g)
				for n := range 30 {
					h.writer.add(fmt.Sprint("s", n%3), n)
					rest(2 * time.Second)
				}
				last := h.writer.add("s0", 30)
				if err := g.Wait(soon(t), "histories", last); err != nil {
					t.Fatal(err)
				}
				if s := statusOf(t, g, "histories"); refused < 5 || s.Parked != 0 || s.Skipped != 0 || s.LagEvents != 0 || s.Events != 31 {
					t.Errorf("%d commits failed; status is %+v", refused, s)
				}
				agreesWithHistories(t, h.fixture, g, h.view)
			})
		})
	}
}

// A paused view takes no orders.
func TestAPausedViewTakesNoOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 1})
		g, _ := h.open(t)
		if err := g.Wait(soon(t), "histories", h.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		if err := g.Pause(soon(t), "histories"); err != nil {
			t.Fatal(err)
		}
		rest(10 * time.Second)
		l := onlyLetter(t, g, "histories")
		if _, err := g.Retry(soon(t), "histories", l.ID); !errors.Is(err, projector.ErrPaused) {
			t.Errorf("retried: %v", err)
		}
		if err := g.Resume(soon(t), "histories"); err != nil {
			t.Fatal(err)
		}
		h.healed()
		if l, err := g.Retry(soon(t), "histories", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
	})
}

// A long queue is applied in many commits, an event that touches more documents
// than one of them holds among it.
func TestALongQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := counter("a")
		h := newHospital(t, place{a, 1})
		keys := h.view.Keys
		h.view.Keys = func(e store.Recorded[event]) []string {
			if e.Version != 1500 {
				return append(keys(e), fmt.Sprintf("wide %d", e.Version%1200))
			}
			var all []string
			for i := range 2500 {
				all = append(all, fmt.Sprintf("wide %d", i))
			}
			return all
		}
		g, _ := h.open(t)
		for range 1000 {
			h.writer.append(a, added{1}, added{2}, added{3})
		}
		last := h.writer.add("b", 1)
		if err := g.Wait(soon(t), "histories", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "histories")
		if l.Queued != 2999 {
			t.Errorf("letter is %+v", l)
		}
		h.healed()
		if l, err := g.Retry(soon(t), "histories", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		want, _, _ := plainHistories(t, h.fixture, h.view, nil)
		got := 0
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, next, err := g.List(soon(t), "histories", cursor, 1000, last)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range page {
				got++
				var d history
				if err := json.Unmarshal(doc.Document, &d); err != nil || !cmp.Equal(want[doc.Key], d) {
					t.Fatalf("document %q (-want +got):\n%s", doc.Key, cmp.Diff(want[doc.Key], d))
				}
			}
			cursor = next
		}
		if got != len(want) {
			t.Errorf("%d documents, want %d", got, len(want))
		}
	})
}

// A retry is interrupted after some of its documents were stored. It is finished before
// another stream's is begun: documents remember one parking only.
func TestAnInterruptedRetryIsFinishedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := counter("a"), counter("b")
		h := newHospital(t, place{a, 1}, place{b, 1})
		var commits atomic.Int64
		var retrying atomic.Bool
		failing := &faults{memory: h.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if commits.Add(1) != 2 || !retrying.Load() {
				return none
			}
			h.ward.admit(place{a, 1}) // and it is ill again
			return torn
		}}
		g := newGroup(t, projector.Config{Log: h.log, Store: failing, Projections: []projector.Definition{h.view}})
		running(t, g)
		h.writer.add("a", 1)
		if err := g.Wait(soon(t), "histories", h.writer.add("b", 1)); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), "histories")
		if err != nil || len(letters) != 2 {
			t.Fatal(letters, err)
		}
		h.healed()
		commits.Store(0) // how far it will get, then the documents, then the letter
		retrying.Store(true)
		if _, err := g.Retry(soon(t), "histories", letters[0].ID); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("the retry was not interrupted: %v", err)
		}
		rest(time.Minute)
		if _, err := g.Retry(soon(t), "histories", letters[1].ID); !errors.Is(err, projector.ErrUnfinished) {
			t.Errorf("the other's retry: %v", err)
		}
		if _, err := g.Skip(soon(t), "histories", letters[1].ID, letters[1].At, "why not", "me"); !errors.Is(err, projector.ErrUnfinished) {
			t.Errorf("the other's skip: %v", err)
		}
		h.healed()
		for _, l := range letters {
			if _, err := g.Retry(soon(t), "histories", l.ID); err != nil && !errors.Is(err, projector.ErrNoLetter) {
				t.Error(err)
			}
		}
		agreesWithHistories(t, h.fixture, g, h.view)
	})
}
