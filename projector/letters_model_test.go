package projector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The log of the model tests has events that cannot be applied until they are
// healed, and some that cannot be read until they are edited.
const (
	badData  = 1000 // N of events that panic until they are healed
	editedTo = 7    // N that the unreadable are given
)

// place names an event.
type place struct {
	stream  store.StreamID
	version uint64
}

// ward knows which events are ill.
type ward struct {
	mu  sync.Mutex
	ill map[place]bool
}

func (w *ward) is(e store.Recorded[event]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ill[place{e.Stream, e.Version}]
}

func (w *ward) admit(p place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill[p] = true
}

func (w *ward) heal(some func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.ill {
		if some() {
			delete(w.ill, p)
		}
	}
}

// history is a document that shows which events it was made of, in which order
// for each stream.
type history struct {
	Seen   map[string][]string `json:"seen"`
	Closed bool                `json:"closed,omitempty"`
}

func (h history) with(e store.Recorded[event]) history {
	if h.Seen == nil {
		h.Seen = map[string][]string{}
	}
	what := fmt.Sprintf("%d closed", e.Version)
	if a, ok := e.Data.(added); ok {
		what = fmt.Sprintf("%d +%d", e.Version, a.N)
	}
	h.Seen[e.Stream.ID] = append(h.Seen[e.Stream.ID], what) // in place, on purpose
	return h
}

// histories has a document for each stream, which a closed event deletes, and some
// that several streams share.
func histories(ill func(store.Recorded[event]) bool, workers int) projector.Documents[event, history] {
	return projector.Documents[event, history]{
		Name: "histories", Types: []string{"counter"}, Events: events, Workers: workers,
		Keys: func(e store.Recorded[event]) []string {
			return []string{e.Stream.ID, "shared " + e.Stream.ID[len(e.Stream.ID)-1:], "shared by all"}
		},
		Fold: func(key string, h history, e store.Recorded[event]) history {
			h = h.with(e)
			if ill(e) {
				panic("it is ill")
			}
			_, h.Closed = e.Data.(closed)
			h.Closed = h.Closed && key == e.Stream.ID
			return h
		},
		Gone: func(h history) bool { return h.Closed },
	}
}

// drama appends random events, some of which are ill.
type drama struct {
	f    *fixture
	r    *rand.Rand
	ward *ward
	torn bool // commits may be torn: a group that begins finishes what was interrupted
}

func (d *drama) append(commits int) {
	for range commits {
		stream := store.StreamID{Type: "counter", ID: fmt.Sprintf("c-%d", d.r.IntN(6))}
		if d.r.IntN(25) == 0 {
			d.unreadable(stream)
			continue
		}
		var es []event
		version := d.f.writer.heads[stream].Version
		for range 1 + d.r.IntN(3) {
			version++
			switch d.r.IntN(12) {
			case 0:
				es = append(es, closed{})
			case 1:
				es = append(es, added{N: badData})
				d.ward.admit(place{stream, version})
			default:
				es = append(es, added{N: d.r.IntN(100)})
			}
		}
		d.f.writer.append(stream, es...)
	}
}

func (d *drama) unreadable(stream store.StreamID) {
	w := d.f.writer
	c := &store.Commit{
		Stream: stream, ID: uuid.New(), After: w.heads[stream], Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "test"}},
		Events:   []store.Event{{Type: "added", Schema: 1, Data: []byte{0xdd, 0xff, 0xff, 0xff, 0xff}}},
	}
	head, err := w.log.Append(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.heads[stream] = head
}

// desk is where operators ask: a group, or several that share a view's work.
type desk interface {
	DeadLetters(ctx context.Context, view string) ([]projector.DeadLetter, error)
	Retry(ctx context.Context, view, id string) (projector.DeadLetter, error)
	Edit(ctx context.Context, view, id string, at uint64, data json.RawMessage, by string) error
	Skip(ctx context.Context, view, id string, at uint64, reason, by string) (projector.DeadLetter, error)
}

// operate does something with one of the letters, whatever comes of it.
func (d *drama) operate(t *testing.T, g desk, view string) {
	t.Helper()
	ctx, cancel := withTimeout(t, 20*time.Second)
	defer cancel()
	letters, err := g.DeadLetters(ctx, view)
	if err != nil || len(letters) == 0 {
		return
	}
	l := letters[d.r.IntN(len(letters))]
	switch d.r.IntN(6) {
	case 0:
		_, err = g.Skip(ctx, view, l.ID, l.At, "the test says so", "test")
	case 1, 2:
		if l.Kind == projector.KindDecode {
			err = g.Edit(ctx, view, l.ID, l.At, fmt.Appendf(nil, `{"n":%d}`, editedTo), "test")
		}
	default:
		_, err = g.Retry(ctx, view, l.ID)
	}
	for _, allowed := range []error{nil, store.ErrUnavailable, projector.ErrTimeout, projector.ErrNoLetter, projector.ErrUnfinished, store.ErrInvalid, store.ErrConflict} {
		if allowed == nil && err == nil || allowed != nil && errors.Is(err, allowed) {
			return
		}
	}
	t.Errorf("operate: %v", err)
}

// edit gives the event that the letter waits at data that can be read. Where a letter
// may move by itself it may wait further on by now, and is listed there.
func (d *drama) edit(t *testing.T, g desk, view string, l projector.DeadLetter) {
	t.Helper()
	err := g.Edit(soon(t), view, l.ID, l.At, fmt.Appendf(nil, `{"n":%d}`, editedTo), "test")
	var conflict *store.ConflictError
	switch {
	case err == nil, errors.Is(err, store.ErrInvalid), errors.Is(err, projector.ErrNoLetter):
		return
	case !d.torn || !errors.As(err, &conflict) || conflict.Expected != l.At || conflict.Actual <= l.At:
		t.Fatal(err)
	}
	letters, err := g.DeadLetters(soon(t), view)
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range letters {
		if now.ID == l.ID && now.At < conflict.Actual {
			t.Fatalf("%v, and is listed at version %d", conflict, now.At)
		}
	}
}

// clear empties the dead letters: all is healed, and what cannot be read is edited.
// Where commits may be torn a letter may go or move by itself, when the group, just
// started, finishes an interrupted retry.
func (d *drama) clear(t *testing.T, g desk, view string) {
	t.Helper()
	for range 1000 {
		letters, err := g.DeadLetters(soon(t), view)
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) == 0 {
			return
		}
		l := letters[d.r.IntN(len(letters))]
		if l.Kind == projector.KindDecode {
			d.edit(t, g, view, l)
		}
		if _, err := g.Retry(soon(t), view, l.ID); err != nil && !errors.Is(err, projector.ErrUnfinished) && !errors.Is(err, projector.ErrNoLetter) {
			t.Fatal(err)
		}
	}
	t.Fatal("the dead letters do not end")
}

// plainHistories is the fold of the log as plainly as can be, without what was
// skipped for the document's worker.
func plainHistories(t *testing.T, f *fixture, view projector.Documents[event, history], skipped []projector.Skipped) (map[string]history, projector.Proof, store.Position) {
	t.Helper()
	type left struct {
		place
		worker string
	}
	leftOut := map[left]bool{}
	for _, s := range skipped {
		leftOut[left{place{s.Stream, s.At}, s.Worker}] = true
		if s.Reason == "" || s.By == "" {
			t.Errorf("skipped without reason or name: %+v", s)
		}
	}
	docs, proof, last := map[string]history{}, projector.Proof{}, store.Position(0)
	for e := range recorded(t, f.log, view.Types...) {
		proof.Add(e.Position, e.ID)
		last = e.Position
		typed := store.WithData[[]byte, event](e, added{N: editedTo})
		if data, err := events.Decode(f.log.Codec(), e.Type, e.Schema, e.Data); err == nil {
			typed.Data = data
		}
		for _, key := range view.Keys(typed) {
			worker := "0"
			if view.Workers > 1 {
				worker = fmt.Sprint(store.StreamID{ID: key}.Partition(view.Workers))
			}
			if leftOut[left{place{e.Stream, e.Version}, worker}] {
				continue
			}
			docs[key] = view.Fold(key, docs[key], typed)
			if view.Gone(docs[key]) {
				delete(docs, key)
			}
		}
	}
	return docs, proof, last
}

// Random streams, events that fail and are healed, crashes, restarts, retries,
// edits and skips in any order: in the end the documents are what a plain fold
// gives without the skipped events, each stream's events are in them in order, and
// the proof is the log's.
func TestDeadLettersLoseNothing(t *testing.T) {
	t.Parallel()
	eachSeed(t, func(t *testing.T, r *rand.Rand) {
		f := newFixture(t)
		d := &drama{f: f, r: r, ward: &ward{ill: map[place]bool{}}, torn: true}
		view := histories(d.ward.is, 1+r.IntN(3))
		var repaired atomic.Bool
		luck := newDice(r)
		failing := &faults{memory: f.memory, dice: luck, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
			if repaired.Load() || luck.IntN(8) > 0 {
				return none
			}
			return fault(1 + luck.IntN(3))
		}}
		log := &flakyLog{Log: f.log, fails: func() bool { return !repaired.Load() && luck.IntN(40) == 0 }}
		registry := &projector.MemoryRegistry{}
		start := func() (*projector.Group, func()) {
			cfg := randomConfig(r)
			cfg.Log, cfg.Store, cfg.Registry, cfg.Projections = log, failing, registry, []projector.Definition{view}
			cfg.Attempts = 1 + r.IntN(3)
			g := newGroup(t, cfg)
			return g, running(t, g)
		}
		g, stop := start()
		parked := 0
		for range 40 {
			d.append(r.IntN(8))
			rest(time.Duration(r.IntN(2000)) * time.Millisecond)
			parked = max(parked, statusOf(t, g, view.Name).Parked)
			switch r.IntN(5) {
			case 0:
				d.ward.heal(func() bool { return r.IntN(2) == 0 })
			case 1:
				stop()
				g, stop = start()
			default:
				d.operate(t, g, view.Name)
			}
		}
		repaired.Store(true)
		d.ward.heal(func() bool { return true })
		stop()
		g, _ = start()
		_, _, last := plainHistories(t, f, view, nil)
		if err := g.Wait(soon(t), view.Name, last); err != nil {
			t.Fatal(err)
		}
		d.clear(t, g, view.Name)
		agreesWithHistories(t, f, g, view)
		if parked == 0 {
			t.Error("nothing was ever parked: this shows nothing")
		}
	})
}

func agreesWithHistories(t *testing.T, f *fixture, g *projector.Group, view projector.Documents[event, history]) {
	t.Helper()
	skipped, err := g.Skipped(soon(t), view.Name)
	if err != nil {
		t.Fatal(err)
	}
	want, proof, last := plainHistories(t, f, view, skipped)
	got := map[string]history{}
	page, next, err := g.List(soon(t), view.Name, "", 500, last)
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	for _, doc := range page {
		var h history
		if err := json.Unmarshal(doc.Document, &h); err != nil {
			t.Fatal(err)
		}
		got[doc.Key] = h
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	s := statusOf(t, g, view.Name)
	if s.Events != proof.Events || s.Hash != proof.Hash.String() || s.Checkpoint != last || s.Parked != 0 || s.Skipped != len(skipped) || s.State != projector.StateLive {
		t.Errorf("status is %+v; want %d events, %s, %d skipped", s, proof.Events, proof.Hash, len(skipped))
	}
}
