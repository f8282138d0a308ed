package projector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The domain of the tests: counters that are added to.
type event interface{ isEvent() }

type added struct {
	N int `json:"n"`
}

type closed struct{}

func (added) isEvent()  {}
func (closed) isEvent() {}

var events = store.NewTypes(map[string]event{"added": added{}, "closed": closed{}})

// total is the document of the views of the tests.
type total struct {
	Sum    int            `json:"sum"`
	Count  int            `json:"count"`
	Closed bool           `json:"closed"`
	By     map[string]int `json:"by,omitempty"`
}

func (d total) with(e store.Recorded[event]) total {
	d.Count++
	switch data := e.Data.(type) {
	case added:
		d.Sum += data.N
	case closed:
		d.Closed = true
	}
	if d.By == nil {
		d.By = map[string]int{}
	}
	d.By[e.Type]++ // on purpose in place: Fold owns its document
	return d
}

// totals has one document for each counter, and one for all of them.
func totals(name string) projector.Documents[event, total] {
	return projector.Documents[event, total]{
		Name:   name,
		Types:  []string{"counter"},
		Events: events,
		Keys:   func(e store.Recorded[event]) []string { return []string{e.Stream.ID, "all of them"} },
		Fold:   func(_ string, d total, e store.Recorded[event]) total { return d.with(e) },
	}
}

// writer appends to a log and remembers the heads.
type writer struct {
	t     testing.TB
	log   store.Log
	mu    sync.Mutex
	heads map[store.StreamID]store.Head
}

func newWriter(t testing.TB, log store.Log) *writer {
	return &writer{t: t, log: log, heads: map[store.StreamID]store.Head{}}
}

// append stores one commit and returns the position of its last event.
func (w *writer) append(stream store.StreamID, es ...event) store.Position {
	w.t.Helper()
	stored := make([]store.Event, len(es))
	for i, e := range es {
		encoded, err := events.Encode(w.log.Codec(), e)
		if err != nil {
			w.t.Fatal(err)
		}
		stored[i] = encoded.Event(0)
	}
	return w.store(stream, stored...)
}

// store appends a commit of events as they are, whoever may have encoded them.
func (w *writer) store(stream store.StreamID, es ...store.Event) store.Position {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &store.Commit{
		Stream:   stream,
		ID:       uuid.New(),
		After:    w.heads[stream],
		Time:     time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "test"}},
		Events:   es,
	}
	head, err := w.log.Append(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.heads[stream] = head
	return store.PositionOf(head.Sequence, len(es)-1)
}

func (w *writer) add(id string, n int) store.Position {
	w.t.Helper()
	return w.append(store.StreamID{Type: "counter", ID: id}, added{N: n})
}

// random appends so many commits of 1 to 4 events to streams of two types.
func (w *writer) random(r *rand.Rand, commits, streams int) store.Position {
	w.t.Helper()
	var last store.Position
	for range commits {
		stream := store.StreamID{Type: "counter", ID: fmt.Sprintf("c-%d", r.IntN(streams))}
		if r.IntN(5) == 0 {
			stream.Type = "other"
		}
		var es []event
		for range 1 + r.IntN(4) {
			es = append(es, added{N: r.IntN(100)})
		}
		last = w.append(stream, es...)
	}
	return last
}

// dice is random numbers that goroutines may share.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(r *rand.Rand) *dice { return &dice{r: rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))} }

func (d *dice) IntN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// expected is the fold of a whole log by the view, done as plainly as can be.
func expected(t testing.TB, log store.Log, view projector.Documents[event, total]) (map[string]total, projector.Proof, store.Position) {
	t.Helper()
	docs, proof, last := map[string]total{}, projector.Proof{}, store.Position(0)
	for e := range recorded(t, log, view.Types...) {
		data, err := events.Decode(log.Codec(), e.Type, e.Schema, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		typed := store.Recorded[event]{Stream: e.Stream, Version: e.Version, Position: e.Position, ID: e.ID, Type: e.Type, Data: data}
		for _, key := range view.Keys(typed) {
			docs[key] = view.Fold(key, docs[key], typed)
		}
		proof.Add(e.Position, e.ID)
		last = e.Position
	}
	return docs, proof, last
}

// recorded yields the events of the types that the log holds now.
func recorded(t testing.TB, log store.Log, types ...string) func(func(store.Recorded[[]byte]) bool) {
	return func(yield func(store.Recorded[[]byte]) bool) {
		ctx := context.Background()
		tip, err := log.Tip(ctx, types...)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := log.Follow(ctx, store.Follow{Types: types})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		for at := store.Position(0); at < tip; {
			commits, err := feed.Next(ctx, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				at = c.Last()
				for e := range c.Recorded() {
					if !yield(e) {
						return
					}
				}
			}
		}
	}
}

// running starts the group and returns how to stop it and wait for its end.
func running(t testing.TB, g *projector.Group) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func newGroup(t testing.TB, cfg projector.Config) *projector.Group {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g, err := projector.NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// soon is a context that is long enough for whatever is expected to happen.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// documents lists a view to its end.
func documents(t testing.TB, g *projector.Group, view string, min store.Position) (docs []projector.Document) {
	t.Helper()
	for cursor, first := "", true; first || cursor != ""; first = false {
		page, next, err := g.List(soon(t), view, cursor, 7, min)
		if err != nil {
			t.Fatal(err)
		}
		docs, cursor = append(docs, page...), next
	}
	return docs
}

// everything are the totals of all documents of a view.
func everything(t testing.TB, g *projector.Group, view string, min store.Position) map[string]total {
	t.Helper()
	totals := map[string]total{}
	for _, d := range documents(t, g, view, min) {
		totals[d.Key] = decoded(t, d)
	}
	return totals
}

func decoded(t testing.TB, d projector.Document) total {
	t.Helper()
	var v total
	if err := json.Unmarshal(d.Document, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// statusOf returns the one projection's status.
func statusOf(t testing.TB, g *projector.Group, view string) projector.Status {
	t.Helper()
	for _, s := range g.Status(soon(t)) {
		if s.Name == view {
			return s
		}
	}
	t.Fatalf("no status of view %s", view)
	return projector.Status{}
}

// faults wraps a store so that its commits fail as stores do.
type faults struct {
	projector.Store
	memory *projector.Memory
	// onCommit decides what happens to a commit; nil leaves it alone.
	onCommit func(v projector.View, c projector.Checkpoint, docs []projector.Document) fault
	// dice choose what a torn commit leaves; nil: the first half.
	dice *dice
	// one has commits come one after the other, so that none overtakes one that is torn.
	one sync.Mutex
}

// tear stores half of the documents and of the notes: any half, if there are dice.
func (f *faults) tear(v *faultyView, w projector.Write) {
	docs, notes := slices.Clone(w.Documents), slices.Clone(w.Notes)
	if f.dice != nil {
		shuffle(f.dice, docs)
		shuffle(f.dice, notes)
	}
	half := func(n int) int { return n/2 + n%2 }
	docs, notes = docs[:half(len(docs))], notes[:half(len(notes))]
	f.memory.Tear(v.name, v.version, docs...)
	f.memory.TearNotes(projector.Model{View: v.name, Version: v.version}, w.Checkpoint.Worker, notes...)
}

func shuffle[T any](d *dice, all []T) {
	for i := range all {
		j := i + d.IntN(len(all)-i)
		all[i], all[j] = all[j], all[i]
	}
}

type fault int

const (
	none    fault = iota
	lost          // nothing is stored
	torn          // some documents are stored, the checkpoint is not
	unheard       // all is stored, the caller does not hear of it
)

var errFault = errors.New("the store is gone")

func (f *faults) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := f.memory.Open(ctx, layout)
	return &faultyView{View: v, faults: f, name: layout.View, version: layout.Version}, err
}

func (f *faults) Shared() bool { return true }

func (f *faults) Drop(ctx context.Context, m projector.Model) error { return f.memory.Drop(ctx, m) }

type faultyView struct {
	projector.View
	faults  *faults
	name    string
	version int
}

func (v *faultyView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	kind := none
	if v.faults.onCommit != nil {
		kind = v.faults.onCommit(v.View, w.Checkpoint, w.Documents)
	}
	gone := fmt.Errorf("%w: %w", store.ErrUnknown, errFault)
	v.faults.one.Lock()
	defer v.faults.one.Unlock()
	if at, err := v.Load(ctx, w.Checkpoint.Worker); kind == torn && (err != nil || at.Revision != w.Checkpoint.Revision) {
		kind = none // who is fenced stores nothing, and so leaves nothing half done
	}
	switch kind {
	case lost:
		return projector.Checkpoint{}, gone
	case torn:
		v.faults.tear(v, w)
		return projector.Checkpoint{}, gone
	case unheard:
		if _, err := v.View.Commit(ctx, w); err != nil {
			return projector.Checkpoint{}, err
		}
		return projector.Checkpoint{}, gone
	}
	return v.View.Commit(ctx, w)
}

// logged collects what a group logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
