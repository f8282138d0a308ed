package projectortest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
)

// RegistryHarness says how to get at the registry that is tested, and how to
// harm it.
type RegistryHarness struct {
	// Open returns a registry that nothing was ever kept in, and another one on the
	// same data, as two groups have them.
	Open func(t *testing.T) (one, other projector.Registry)
	// LoseAnswer makes the next Store of the first registry be stored and its answer
	// be lost. Nil for registries that answer always.
	LoseAnswer func(t *testing.T, r projector.Registry)
	// LoseRequest makes the next Store of the first registry be lost on its way. Nil
	// for registries that are always reached.
	LoseRequest func(t *testing.T, r projector.Registry)
}

// registryCase is one promise of the contract of [projector.Registry].
type registryCase struct {
	name string
	run  func(t *testing.T, h RegistryHarness)
}

var registryCases = []registryCase{
	{"a view has no entry at first", noEntry},
	{"an entry is read as it was written", entryAsWritten},
	{"an entry is changed by one of those who know it", changedByOne},
	{"views have entries of their own", entriesApart},
	{"a watcher sees what is there and what comes", watched},
	{"a watcher ends with its context", watchEnds},
	{"an entry whose answer is lost is stored once", entryAnswerLost},
	{"an entry that is lost on its way is sent again", entryRequestLost},
}

// RunRegistry runs the cases that every [projector.Registry] has to pass.
func RunRegistry(t *testing.T, h RegistryHarness) {
	t.Helper()
	for _, c := range registryCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, h)
		})
	}
}

// entry is one whose live model has the given build.
func entry(build int) projector.Entry {
	return projector.Entry{Live: projector.Kept{Model: projector.Model{View: viewName, Version: viewVersion, Build: build}, Types: []string{"counter"}, Workers: 1}}
}

func putEntry(t *testing.T, r projector.Registry, view string, e projector.Entry, revision uint64) uint64 {
	t.Helper()
	next, err := r.Store(within(t), view, e, revision)
	if err != nil {
		t.Fatal(err)
	}
	if next <= revision {
		t.Errorf("revision %d comes after %d", next, revision)
	}
	return next
}

func wantEntry(t *testing.T, r projector.Registry, view string, want projector.Entry, revision uint64) {
	t.Helper()
	got, at, err := r.Load(within(t), view)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || at != revision {
		t.Errorf("entry of %s has revision %d, want %d (-want +got):\n%s", view, at, revision, diff)
	}
}

func noEntry(t *testing.T, h RegistryHarness) {
	r, _ := h.Open(t)
	wantEntry(t, r, "a", projector.Entry{}, 0)
}

func entryAsWritten(t *testing.T, h RegistryHarness) {
	r, other := h.Open(t)
	want := entry(1)
	want.Candidate = &projector.Kept{
		Model: projector.Model{View: viewName, Version: 3, Build: 2}, Types: []string{"a", "b"}, Workers: 4,
		Indexes: []string{"n"}, Tables: []string{`CREATE TABLE "t" (k TEXT)`},
	}
	want.Rebuild = &projector.Rebuild{Online: true, Version: 3, Parity: -1, Switch: true}
	want.Began = time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	want.Parity = &projector.Parity{Compared: 1 << 60, Differences: 1, Examples: []projector.Difference{{Key: "é", Live: "{}", Candidate: ""}}, Time: want.Began}
	want.Paused, want.Settling = true, true
	want.Builds = map[int]int{1: 1, 3: 2}
	revision := putEntry(t, r, "a", want, 0)
	wantEntry(t, r, "a", want, revision)
	wantEntry(t, other, "a", want, revision)
}

func changedByOne(t *testing.T, h RegistryHarness) {
	r, other := h.Open(t)
	first := putEntry(t, r, "a", entry(1), 0)
	second := putEntry(t, other, "a", entry(2), first)
	for _, revision := range []uint64{0, first, second + 1} {
		if _, err := r.Store(within(t), "a", entry(9), revision); !errors.Is(err, projector.ErrChanged) {
			t.Errorf("store at revision %d: %v, want ErrChanged", revision, err)
		}
	}
	wantEntry(t, r, "a", entry(2), second)
	var wins sync.Map
	var all sync.WaitGroup
	for i, r := range []projector.Registry{r, other, r, other} {
		all.Go(func() {
			revision, err := r.Store(within(t), "a", entry(10+i), second)
			switch {
			case err == nil:
				wins.Store(revision, 10+i)
			case !errors.Is(err, projector.ErrChanged):
				t.Errorf("store: %v", err)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(revision, build any) bool {
		wantEntry(t, other, "a", entry(build.(int)), revision.(uint64))
		n++
		return true
	})
	if n != 1 {
		t.Errorf("%d of 4 changed one revision", n)
	}
}

func entriesApart(t *testing.T, h RegistryHarness) {
	r, other := h.Open(t)
	a, b := putEntry(t, r, "a", entry(1), 0), putEntry(t, r, "b", entry(2), 0)
	wantEntry(t, other, "a", entry(1), a)
	a = putEntry(t, other, "a", entry(3), a)
	wantEntry(t, r, "b", entry(2), b)
	putEntry(t, r, "b", entry(4), b)
	wantEntry(t, r, "a", entry(3), a)
}

// watching is what a watcher was told.
type watching struct {
	mu    sync.Mutex
	seen  map[string]projector.Entry
	at    map[string]uint64
	again chan struct{} // has room for one
}

func watch(t *testing.T, r projector.Registry) *watching {
	t.Helper()
	w := &watching{seen: map[string]projector.Entry{}, at: map[string]uint64{}, again: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.Watch(ctx, func(view string, e projector.Entry, revision uint64) { w.told(t, view, e, revision) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return w
}

func (w *watching) told(t *testing.T, view string, e projector.Entry, revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision <= w.at[view] {
		t.Errorf("revision %d of %s comes after %d", revision, view, w.at[view])
	}
	w.seen[view], w.at[view] = e, revision
	select {
	case w.again <- struct{}{}:
	default:
	}
}

// until waits until the watcher was told of the view's entry.
func (w *watching) until(t *testing.T, view string, want projector.Entry) {
	t.Helper()
	ctx := within(t)
	for {
		w.mu.Lock()
		diff := cmp.Diff(want, w.seen[view])
		w.mu.Unlock()
		if diff == "" {
			return
		}
		select {
		case <-w.again:
		case <-ctx.Done():
			t.Fatalf("the watcher was not told of %s (-want +got):\n%s", view, diff)
		}
	}
}

func watched(t *testing.T, h RegistryHarness) {
	r, other := h.Open(t)
	a := putEntry(t, r, "a", entry(1), 0)
	b := putEntry(t, other, "b", entry(2), 0)
	near, far := watch(t, r), watch(t, other)
	for _, w := range []*watching{near, far} {
		w.until(t, "a", entry(1))
		w.until(t, "b", entry(2))
	}
	for i := range 20 {
		a = putEntry(t, r, "a", entry(10+i), a)
		b = putEntry(t, other, "b", entry(100+i), b)
		far.until(t, "a", entry(10+i))
		near.until(t, "b", entry(100+i))
	}
	for i := range 100 {
		name := fmt.Sprintf("v-%d", i)
		putEntry(t, other, name, entry(i), 0)
	}
	for i := range 100 {
		near.until(t, fmt.Sprintf("v-%d", i), entry(i))
	}
}

func watchEnds(t *testing.T, h RegistryHarness) {
	r, _ := h.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Watch(ctx, func(string, projector.Entry, uint64) { t.Error("told of an entry that is not there") }); err != nil {
		t.Errorf("watch: %v", err)
	}
}

func entryAnswerLost(t *testing.T, h RegistryHarness) {
	if h.LoseAnswer == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseAnswer, for a registry whose answers cannot be lost")
	}
	entryStoredOnce(t, h, h.LoseAnswer)
}

func entryRequestLost(t *testing.T, h RegistryHarness) {
	if h.LoseRequest == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseRequest, for a registry that is always reached")
	}
	entryStoredOnce(t, h, h.LoseRequest)
}

func entryStoredOnce(t *testing.T, h RegistryHarness, harm func(*testing.T, projector.Registry)) {
	t.Helper()
	r, other := h.Open(t)
	w := watch(t, r) // and another, which sees all of it through the same connection
	revision := putEntry(t, r, "a", entry(1), 0)
	for i := range 3 {
		harm(t, r)
		revision = putEntry(t, r, "a", entry(10+i), revision)
		wantEntry(t, other, "a", entry(10+i), revision)
		w.until(t, "a", entry(10+i))
	}
	putEntry(t, other, "a", entry(20), revision)
	harm(t, r)
	if _, err := r.Store(within(t), "a", entry(30), revision); !errors.Is(err, projector.ErrChanged) {
		t.Errorf("store: %v, want ErrChanged", err)
	}
	w.until(t, "a", entry(20))
}
