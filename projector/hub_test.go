package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

// watched is a model that a test writes to as a worker does.
type watched struct {
	t      testing.TB
	hub    *hub
	memory Memory
	view   View

	during func() // is called before a watcher is shown documents

	mu   sync.Mutex
	at   Checkpoint
	next store.Position
	docs map[string]Document
}

// shown is the model as watchers read it.
type shown struct {
	View
	w *watched
}

func (s shown) Get(ctx context.Context, keys []string, since ...Checkpoint) ([]Document, error) {
	s.w.during()
	return s.View.Get(ctx, keys, since...)
}

func (s shown) List(ctx context.Context, cursor string, _ int, since ...Checkpoint) ([]Document, string, error) {
	s.w.during()
	return s.View.List(ctx, cursor, 20, since...)
}

func newWatched(t testing.TB) *watched {
	w := &watched{t: t, hub: newHub(1), during: func() {}, docs: map[string]Document{}, at: Checkpoint{Worker: "0"}}
	w.view = w.memory.view(Model{View: "v", Version: 1})
	w.load()
	return w
}

// load begins an attempt.
func (w *watched) load() {
	c, err := w.view.Load(context.Background(), "0")
	if err != nil {
		w.t.Error(err)
	}
	w.at = c
	w.hub.begin(c)
}

func (w *watched) open(context.Context, store.Position) (View, []Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return shown{w.view, w}, []Checkpoint{w.at}, nil
}

// write commits documents, of which each has one more event; those whose key
// has an exclamation mark are deleted. Unheard, it does not learn of that.
func (w *watched) write(unheard bool, keys ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var docs []Document
	for _, key := range keys {
		w.next++
		key, deleted := strings.CutSuffix(key, "!")
		d := Document{Key: key, Position: w.next, Document: fmt.Appendf(nil, `"%d"`, w.next)}
		if deleted {
			d.Document = nil
		}
		docs, w.docs[key] = append(docs, d), d
	}
	next := w.at
	next.Position = w.next
	next, err := w.view.Commit(context.Background(), Write{Checkpoint: next, Documents: docs})
	switch {
	case err != nil:
		w.t.Error(err)
	case unheard:
		w.load()
	default:
		w.at = next
		w.hub.committed(next, docs)
	}
}

// watcher keeps what it was told.
type watcher struct {
	watch  Watch
	docs   map[string]Document
	resume store.Position
	heard  atomic.Int64 // how far documents came
	err    error
}

// run watches until it has everything up to a position, or quits is true.
func (s *watcher) run(ctx context.Context, t testing.TB, w *watched, until func() store.Position, quits func() bool) (done bool) {
	s.watch.After, s.watch.Progress = s.resume, true
	for d, err := range w.hub.watch(ctx, w.open, s.watch) {
		switch {
		case err != nil:
			s.err = err
			return true
		case d.Key == "":
			s.resume = d.Position
		case !s.watch.matches(d.Key):
			t.Errorf("%+v came for %+v", d, s.watch)
		case d.Position < s.docs[d.Key].Position:
			t.Errorf("%+v came after %+v", d, s.docs[d.Key])
		default:
			s.docs[d.Key] = d
			s.heard.Store(int64(d.Position))
		}
		if s.resume > 0 && s.resume >= until() {
			return true
		}
		if quits() {
			return false
		}
	}
	t.Error("it ended without an error")
	return true
}

// newLuck returns dice that goroutines may share.
func newLuck(seed uint64) func(n int) int {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1000))
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
}

func never() bool { return false }

func seedOf(t *testing.T) uint64 {
	seed := rand.Uint64()
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ANNALS_SEED=%d", seed)
	return seed
}

// Watchers of all kinds, who leave and resume as they like, miss nothing, while
// documents come, change and go, and commits are not heard of. What they do not
// learn after a gap is that a document was deleted within it.
func TestWatchersMissNothing(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	w := newWatched(t)
	random := rand.New(rand.NewPCG(seed, 0))
	const commits = 2000
	var end store.Position
	var mu sync.Mutex
	until := func() store.Position {
		mu.Lock()
		defer mu.Unlock()
		if end == 0 {
			return ^store.Position(0)
		}
		return end
	}
	dice := newLuck(seed)
	w.during = func() {
		for dice(3) == 0 {
			w.write(false, fmt.Sprint("a", dice(20)), fmt.Sprint("b", dice(20)))
		}
	}
	var all []*watcher
	var running sync.WaitGroup
	for i, watch := range []Watch{{}, {Prefix: "a"}, {Prefix: "b1"}, {Key: "a7"}, {Key: "not there"}, {}, {Prefix: "a1"}, {Key: "b3"}} {
		s := &watcher{watch: watch, docs: map[string]Document{}}
		all = append(all, s)
		luck := rand.New(rand.NewPCG(seed, uint64(i+1)))
		running.Go(func() {
			for !s.run(t.Context(), t, w, until, func() bool { return i > 1 && luck.IntN(50) == 0 }) {
			}
		})
	}
	deleted := map[string]bool{}
	for range commits {
		for mark := all[0].heard.Load(); random.IntN(3) == 0 && all[0].heard.Load() == mark; {
			w.write(false, "a0", "b0")
			runtime.Gosched()
		}
		var keys []string
		for _, n := range random.Perm(60)[:1+random.IntN(9)] {
			key := fmt.Sprintf("%c%d", 'a'+n%2, n/2)
			if n == 58 { // the one that is deleted
				deleted[key] = true
				key += "!"
			}
			keys = append(keys, key)
		}
		w.write(random.IntN(100) == 0, keys...)
	}
	mu.Lock()
	end = w.next
	mu.Unlock()
	w.write(false, "a0", "b0")
	running.Wait()
	for i, s := range all {
		if s.err != nil {
			t.Errorf("watcher %d of %+v: %v", i, s.watch, s.err)
		}
		for key, want := range w.docs {
			if !s.watch.matches(key) || deleted[key] || want.Position > end {
				continue
			}
			if got := s.docs[key]; got.Position != want.Position || string(got.Document) != string(want.Document) {
				t.Errorf("watcher %d of %+v has %+v, want %+v", i, s.watch, got, want)
			}
		}
	}
}

// A watcher that does not take what comes is dropped, and nobody else.
func TestASlowWatcherIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.write(false, "a")
		ctx, cancel := context.WithCancel(t.Context())
		slow, quick := make(chan error, 1), 0
		begun, goOn := make(chan struct{}), make(chan struct{})
		go func() {
			for d, err := range w.hub.watch(ctx, w.open, Watch{}) {
				switch {
				case err != nil:
					slow <- err
				case d.Position == 1:
					close(begun)
					<-goOn
				}
			}
		}()
		<-begun
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, err := range w.hub.watch(ctx, w.open, Watch{}) {
				if err == nil {
					quick++
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		for range maxChanges + 1 {
			w.write(false, "a")
			synctest.Wait()
		}
		close(goOn)
		if err := <-slow; !errors.Is(err, ErrSlow) {
			t.Errorf("the slow one: %v", err)
		}
		cancel()
		<-done
		if quick != maxChanges+2 {
			t.Errorf("the quick one has %d changes, want %d", quick, maxChanges+2)
		}
	})
}

// What ends, and what is refused.
func TestAWatchEnds(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	first := func(watch Watch) error {
		for _, err := range w.hub.watch(t.Context(), w.open, watch) {
			return err
		}
		return nil
	}
	for _, watch := range []Watch{{Key: "a", Prefix: "b"}, {Key: strings.Repeat("x", 1000)}} {
		if err := first(watch); !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%+v: %v", watch, err)
		}
	}
	w.hub.watchers = maxWatchers
	if err := first(Watch{}); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	w.hub.watchers = 0
	w.write(false, "a")
	w.hub.end(ErrStopped)
	var got []string
	for d, err := range w.hub.watch(t.Context(), w.open, Watch{Progress: true}) {
		if err != nil && !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		got = append(got, fmt.Sprintf("%s %d %v", d.Key, d.Position, err != nil))
	}
	if diff := cmp.Diff([]string{"a 1 false", " 1 false", " 0 true"}, got); diff != "" {
		t.Errorf("what came before the end (-want +got):\n%s", diff)
	}
	if w.hub.watchers != 0 {
		t.Errorf("%d watch still", w.hub.watchers)
	}
}

// A deletion comes without value, to who watches, and to who resumes while the
// change is there or the store knows it.
func TestADeletionIsWatched(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.write(false, "a", "b")
	w.write(false, "a!")
	last := func(watch Watch) (last Document) {
		watch.Progress = true
		for d, err := range w.hub.watch(t.Context(), w.open, watch) {
			if err != nil || d.Key == "" {
				break
			}
			last = d
		}
		return last
	}
	want := Document{Key: "a", Position: 3}
	for what, watch := range map[string]Watch{"all": {After: 2}, "the one": {Key: "a", After: 2}} {
		if diff := cmp.Diff(want, last(watch)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	w.write(true, "c") // and nobody knows what changed
	if diff := cmp.Diff(want, last(Watch{Key: "a", After: 2})); diff != "" {
		t.Errorf("from the store (-want +got):\n%s", diff)
	}
	if got := last(Watch{Key: "a"}); got.Key != "" {
		t.Errorf("who never had it is told %+v", got)
	}
	if got := last(Watch{Key: "x", After: 2}); got.Key != "x" || got.Document != nil {
		t.Errorf("what is not there any more: %+v", got)
	}
}

// What is folded late does not move its document's position, and comes.
func TestALateChangeIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.write(false, "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var got []json.RawMessage
		go func() {
			synctest.Wait()
			w.hub.committed(w.at, []Document{{Key: "a", Position: 1, Late: Late{Parked: 1, Position: 2}, Document: []byte(`"late"`)}})
		}()
		for d, err := range w.hub.watch(ctx, w.open, Watch{Key: "a"}) {
			if err == nil {
				got = append(got, d.Document)
			}
		}
		if len(got) != 2 || string(got[1]) != `"late"` {
			t.Errorf("%s", got)
		}
	})
}

// A thousand watchers cost a change no copy each, and a list each no more than
// a few at a time.
func TestAThousandWatchers(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	for i := range 100 {
		w.write(false, fmt.Sprint("k", i))
	}
	var running sync.WaitGroup
	for i := range 1000 {
		s := &watcher{watch: Watch{Key: fmt.Sprint("k", i%100)}, docs: map[string]Document{}}
		running.Go(func() {
			if !s.run(t.Context(), t, w, func() store.Position { return 300 }, never) || s.err != nil {
				t.Errorf("watcher %d: %v", i, s.err)
			}
			if d := s.docs[s.watch.Key]; d.Position != store.Position(201+i%100) {
				t.Errorf("watcher %d has %+v", i, d)
			}
		})
	}
	for range 2 {
		for i := range 100 {
			w.write(false, fmt.Sprint("k", i))
		}
	}
	running.Wait()
}
