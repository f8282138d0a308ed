package projector_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// An event that cannot be applied parks its stream. All that came before it and
// all other streams are applied, and the stream is once it can be. No other
// projection notices.
func TestAnEventThatCannotBeApplied(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm   func(view *projector.Documents[event, total], fixed *atomic.Bool) // until it is fixed
		reason string                                                            // of the letter; empty for a panic
	}{
		"Fold panics": {harm: func(view *projector.Documents[event, total], fixed *atomic.Bool) {
			fold := view.Fold
			view.Fold = func(key string, d total, e store.Recorded[event]) total {
				d = fold(key, d, e) // changes d's map before the panic
				if isBad(e) && !fixed.Load() {
					panic("bad luck")
				}
				return d
			}
		}},
		"Keys panics": {harm: func(view *projector.Documents[event, total], fixed *atomic.Bool) {
			keys := view.Keys
			view.Keys = func(e store.Recorded[event]) []string {
				if isBad(e) && !fixed.Load() {
					panic("bad luck")
				}
				return keys(e)
			}
		}},
		"Keys gives what is no key": {reason: "invalid", harm: func(view *projector.Documents[event, total], fixed *atomic.Bool) {
			keys := view.Keys
			view.Keys = func(e store.Recorded[event]) []string {
				if isBad(e) && !fixed.Load() {
					return []string{"a", ""}
				}
				return keys(e)
			}
		}},
		"Keys gives too many": {reason: "too large", harm: func(view *projector.Documents[event, total], fixed *atomic.Bool) {
			keys := view.Keys
			view.Keys = func(e store.Recorded[event]) []string {
				if isBad(e) && !fixed.Load() {
					return make([]string, projector.MaxKeys+1)
				}
				return keys(e)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var fixed atomic.Bool
				f := newFixture(t)
				view := totals("harmed")
				c.harm(&view, &fixed)
				out := &logged{}
				g := newGroup(t, projector.Config{Log: f.log, Store: f.memory, Logger: out.logger(), Projections: []projector.Definition{view, totals("healthy")}})
				f.writer.add("a", 1)
				f.writer.append(store.StreamID{Type: "counter", ID: "b"}, added{2}, added{3})
				bad := f.writer.append(store.StreamID{Type: "counter", ID: "a"}, added{666})
				last := f.writer.add("c", 4)
				running(t, g)

				if err := g.Wait(soon(t), "healthy", last); err != nil {
					t.Fatal(err)
				}
				if err := g.Wait(soon(t), "harmed", last); err != nil {
					t.Fatal(err)
				}
				s := statusOf(t, g, "harmed")
				if s.State != projector.StateLive || s.Checkpoint != last || s.LagEvents != 0 || s.LagSeconds != 0 || s.Error != "" {
					t.Errorf("status is %+v, want live after %d", s, last)
				}
				if !strings.Contains(out.String(), `level=ERROR msg="stream parked"`) {
					t.Errorf("the log does not say that a stream was parked:\n%s", out)
				}
				if c.reason == "" && !strings.Contains(out.String(), "stack=") {
					t.Error("the panic was logged without its stack")
				}
				behind := f.writer.add("a", 5)
				if err := g.Wait(soon(t), "harmed", behind); err != nil {
					t.Fatal(err)
				}
				d, err := g.Get(soon(t), "harmed", "a", 0)
				if err != nil || decoded(t, d).Sum != 1 || decoded(t, d).By["added"] != 1 {
					t.Errorf("what came before is %s, %v", d.Document, err)
				}
				letter := onlyLetter(t, g, "harmed")
				want := projector.DeadLetter{
					Model: projector.Model{View: "harmed", Version: 1}, ID: letter.ID, Worker: "0", Error: letter.Error,
					Stream: store.StreamID{Type: "counter", ID: "a"}, At: 2, Position: bad, Event: "added",
					Kind: projector.KindHandler, Attempts: 4, Parked: letter.Parked, Tried: letter.Tried, Queued: 1,
				}
				if diff := gocmp.Diff(want, letter); diff != "" || len(letter.ID) != 12 || letter.Parked.IsZero() || letter.Tried.IsZero() {
					t.Errorf("letter (-want +got):\n%s", diff)
				}
				if part := cmp.Or(c.reason, "panic: bad luck"); !strings.Contains(letter.Error, part) {
					t.Errorf("error %q does not say %q", letter.Error, part)
				}
				fixed.Store(true)
				if still, err := g.Retry(soon(t), "harmed", letter.ID); err != nil || still.ID != "" {
					t.Errorf("after the retry: %+v, %v", still, err)
				}
				agrees(t, f, g, view)
			})
		})
	}
}

// onlyLetter returns the view's one dead letter.
func onlyLetter(t *testing.T, g *projector.Group, view string) projector.DeadLetter {
	t.Helper()
	letters, err := g.DeadLetters(soon(t), view)
	if err != nil || len(letters) != 1 {
		t.Fatalf("letters are %+v, %v; want one", letters, err)
	}
	return letters[0]
}

func isBad(e store.Recorded[event]) bool {
	a, ok := e.Data.(added)
	return ok && a.N == 666
}

func timedWait(t *testing.T, g *projector.Group, view string, p store.Position) error {
	t.Helper()
	ctx, cancel := withTimeout(t, 3*time.Second)
	defer cancel()
	return g.Wait(ctx, view, p)
}

func TestAnEventThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]store.Event{
		"unknown type":   {Type: "mystery", Schema: 1, Data: []byte{0x80}},
		"unknown schema": {Type: "added", Schema: 999, Data: []byte{0x80}},
		"damaged":        {Type: "added", Schema: 1, Data: []byte{0xdd, 0xff, 0xff, 0xff, 0xff}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.writer.add("a", 1)
				stream := store.StreamID{Type: "counter", ID: "b"}
				c := &store.Commit{
					Stream: stream, ID: uuid.New(), Time: time.Now().UTC().Truncate(time.Microsecond),
					Commands: []store.Command{{ID: "1", Name: "test"}}, Events: []store.Event{e},
				}
				if _, err := f.log.Append(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				last := f.writer.add("c", 1)
				g := f.group(t, totals("totals"))
				running(t, g)
				if err := g.Wait(soon(t), "totals", last); err != nil {
					t.Fatal(err)
				}
				letter := onlyLetter(t, g, "totals")
				if letter.Kind != projector.KindDecode || letter.Stream != stream || letter.At != 1 || letter.Event != e.Type {
					t.Errorf("letter is %+v", letter)
				}
				docs := everything(t, g, "totals", last)
				if docs["a"].Count != 1 || docs["c"].Count != 1 || docs["all of them"].Count != 2 {
					t.Errorf("documents are %v", docs)
				}
				shown, err := g.LetterEvents(soon(t), "totals", letter.ID, 0)
				if err != nil || len(shown) != 1 || shown[0].Data != nil || !bytes.Equal(shown[0].Raw, e.Data) {
					t.Errorf("its events are %+v, %v", shown, err)
				}
				if still, err := g.Retry(soon(t), "totals", letter.ID); err != nil || still.At != 1 || still.Attempts != 5 {
					t.Errorf("after a retry: %+v, %v", still, err)
				}
			})
		})
	}
}

func TestADocumentThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		type odd struct{ C chan int }
		view := projector.Documents[event, *odd]{
			Name: "odd", Types: []string{"counter"}, Events: events,
			Keys: func(store.Recorded[event]) []string { return []string{"x"} },
			Fold: func(string, *odd, store.Recorded[event]) *odd { return &odd{C: make(chan int)} },
		}
		g := f.group(t, view)
		running(t, g)
		f.writer.add("a", 1)
		f.writer.add("b", 1)
		if err := g.Wait(soon(t), "odd", f.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		letters, err := g.DeadLetters(soon(t), "odd")
		if err != nil || len(letters) != 2 || letters[0].Kind != projector.KindHandler || !strings.Contains(letters[0].Error, `document "x"`) {
			t.Errorf("letters are %+v, %v", letters, err)
		}
	})
}

// A view that is ahead of its log is not served; the others are.
func TestAheadOfTheLog(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, f *fixture){
		"the log lost its end": func(t *testing.T, f *fixture) {
			f.renew(t)
			f.writer.add("a", 1)
		},
		"the log lost everything": func(t *testing.T, f *fixture) { f.renew(t) },
		"the log lost its end and grew again": func(t *testing.T, f *fixture) {
			f.renew(t)
			for range 50 {
				f.writer.add("a", 5)
			}
		},
		"documents are beyond the log": func(t *testing.T, f *fixture) {
			f.memory.Tear("totals", 1, projector.Document{Key: "a", Position: store.PositionOf(1000, 0), Document: []byte(`{}`)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				first := f.group(t, totals("totals"))
				stop := running(t, first)
				for range 9 {
					f.writer.add("a", 1)
				}
				if err := first.Wait(soon(t), "totals", f.writer.add("a", 1)); err != nil {
					t.Fatal(err)
				}
				stop()
				prepare(t, f)

				out := &logged{}
				fresh := totals("fresh")
				g := newGroup(t, projector.Config{Log: f.log, Store: f.memory, Logger: out.logger(), Projections: []projector.Definition{totals("totals"), fresh}})
				running(t, g)
				for range 3 { // it stays so, also while the log grows
					if _, err := g.Get(soon(t), "totals", "a", 0); !errors.Is(err, store.ErrAhead) {
						t.Errorf("get: %v", err)
					}
					if _, _, err := g.List(soon(t), "totals", "", 10, 0); !errors.Is(err, store.ErrAhead) {
						t.Errorf("list: %v", err)
					}
					if err := g.Wait(soon(t), "totals", 1); !errors.Is(err, store.ErrAhead) {
						t.Errorf("wait: %v", err)
					}
					last := f.writer.add("b", 1)
					if err := g.Wait(soon(t), "fresh", last); err != nil {
						t.Errorf("the other view: %v", err)
					}
					rest(10 * time.Minute)
				}
				if s := statusOf(t, g, "totals"); s.State != projector.StateFailed || s.Checkpoint == 0 || !strings.Contains(s.Error, "lost its end") {
					t.Errorf("status is %+v", s)
				}
				if !strings.Contains(out.String(), "level=ERROR msg=\"view is ahead of the log and is not served\"") {
					t.Errorf("the log says %s", out)
				}
				// There is nothing to compare a new model with; without that it is the way out.
				if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Parity: -1, Switch: true}); !errors.Is(err, store.ErrAhead) {
					t.Errorf("a rebuild with a comparison: %v", err)
				}
				if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Switch: true}); err != nil {
					t.Fatal(err)
				}
				rest(time.Minute)
				agrees(t, f, g, totals("totals"))
			})
		})
	}
}

// replacedLog is a log that is another one from some moment on.
type replacedLog struct {
	store.Log
	other    store.Log
	replaced chan struct{}
}

func (l *replacedLog) now() store.Log {
	select {
	case <-l.replaced:
		return l.other
	default:
		return l.Log
	}
}

func (l *replacedLog) Tip(ctx context.Context, types ...string) (store.Position, error) {
	return l.now().Tip(ctx, types...)
}

func (l *replacedLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.now().Follow(ctx, f)
	return &replacedFeed{Feed: feed, log: l, of: l.now()}, err
}

// replacedFeed breaks off when its log is replaced.
type replacedFeed struct {
	store.Feed
	log *replacedLog
	of  store.Log
}

func (f *replacedFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if f.of != f.log.now() {
		return nil, errAway
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-f.log.replaced:
			cancel(errAway)
		case <-ctx.Done():
		}
	}()
	commits, err := f.Feed.Next(ctx, limit)
	if err != nil && errors.Is(context.Cause(ctx), errAway) {
		return nil, errAway
	}
	return commits, err
}

// The log loses its end while the view is served.
func TestAheadOfTheLogWhileServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		log := &replacedLog{Log: f.log, replaced: make(chan struct{})}
		g := newGroup(t, projector.Config{Log: log, Store: f.memory, Projections: []projector.Definition{totals("totals")}})
		running(t, g)
		f.writer.add("a", 1)
		last := f.writer.add("a", 1)
		if _, err := g.Get(soon(t), "totals", "a", last); err != nil {
			t.Fatal(err)
		}
		f.renew(t)
		f.writer.add("a", 5)
		log.other = f.log
		close(log.replaced)
		rest(10 * time.Second)
		for range 3 {
			for _, min := range []store.Position{0, 1, last} {
				if d, err := g.Get(soon(t), "totals", "a", min); !errors.Is(err, store.ErrAhead) {
					t.Errorf("get: %s, %v", d.Document, err)
				}
			}
			f.writer.add("a", 5)
			f.writer.add("a", 5)
			rest(10 * time.Minute)
		}
	})
}

// renew gives the fixture another, empty log.
func (f *fixture) renew(t *testing.T) {
	f.log = store.NewMemory(store.MemoryConfig{})
	f.writer = newWriter(t, f.log)
}

func TestOtherTypesNeedAnotherVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		first := f.group(t, totals("totals"))
		stop := running(t, first)
		last := f.writer.add("a", 1)
		if err := first.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		stop()
		view := totals("totals")
		view.Types = []string{"other", "counter"}
		g := f.group(t, view)
		running(t, g)
		rest(time.Minute)
		if s := statusOf(t, g, "totals"); s.State != projector.StateFailed || !strings.Contains(s.Error, "new version") {
			t.Errorf("status is %+v", s)
		}
	})
}
