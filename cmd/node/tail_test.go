package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// fillLog stores commits in turn, each given as type and number of events.
func fillLog(t *testing.T, log *store.Memory, commits ...any) {
	t.Helper()
	heads := map[store.StreamID]store.Head{}
	for i := 0; i < len(commits); i += 2 {
		id := store.StreamID{Type: commits[i].(string), ID: "1"}
		c := store.Commit{
			Stream: id, ID: uuid.New(), After: heads[id], Time: time.Unix(1e9, 0).UTC(),
			Commands: []store.Command{{ID: fmt.Sprintf("c%d-%s", i, uuid.New()), Name: "do"}},
		}
		for range commits[i+1].(int) {
			c.Events = append(c.Events, store.Event{Type: "done", Schema: 1, Data: []byte("{}")})
		}
		head, err := log.Append(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		heads[id] = head
	}
}

// collect makes a tail show into a list of "type version".
func collect(shown *[]string) func(store.Recorded[[]byte]) error {
	return func(e store.Recorded[[]byte]) error {
		*shown = append(*shown, fmt.Sprintf("%s %d", e.Stream.Type, e.Version))
		return nil
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
	fillLog(t, log, "a", 2, "b", 1, "a", 3, "b", 2, "a", 1)
	for _, test := range []struct {
		name string
		tail tail
		want []string
	}{
		{"the last events", tail{lines: 3}, []string{"b 2", "b 3", "a 6"}},
		{"more than one commit is cut in the middle", tail{lines: 5}, []string{"a 4", "a 5", "b 2", "b 3", "a 6"}},
		{"more than there are", tail{lines: 50}, []string{"a 1", "a 2", "b 1", "a 3", "a 4", "a 5", "b 2", "b 3", "a 6"}},
		{"the last of a type", tail{lines: 2, types: []string{"b"}}, []string{"b 2", "b 3"}},
		{"the last of a type, far back", tail{lines: 3, types: []string{"b"}}, []string{"b 1", "b 2", "b 3"}},
		{"a type without events", tail{lines: 3, types: []string{"c"}}, nil},
		{"none", tail{lines: 0}, nil},
		{"from the beginning", tail{fromSet: true, lines: 0}, []string{"a 1", "a 2", "b 1", "a 3", "a 4", "a 5", "b 2", "b 3", "a 6"}},
		{"from the middle of a commit", tail{fromSet: true, from: store.PositionOf(3, 1)}, []string{"a 4", "a 5", "b 2", "b 3", "a 6"}},
		{"from there, at most two", tail{fromSet: true, from: store.PositionOf(3, 1), lines: 2}, []string{"a 4", "a 5"}},
		{"from there, of a type", tail{fromSet: true, from: store.PositionOf(3, 1), types: []string{"b"}}, []string{"b 2", "b 3"}},
		{"from the last event", tail{fromSet: true, from: store.PositionOf(5, 0)}, []string{"a 6"}},
		{"from beyond the end", tail{fromSet: true, from: store.PositionOf(6, 0)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var shown []string
			test.tail.log, test.tail.show = log, collect(&shown)
			if err := test.tail.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, shown); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A long log is not read from its beginning for its end.
func TestTailLooksBackAsFarAsNeeded(t *testing.T) {
	t.Parallel()
	log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
	commits := []any{"rare", 1}
	for range 300 {
		commits = append(commits, "often", 1)
	}
	fillLog(t, log, commits...)
	for _, test := range []struct {
		types []string
		want  int
	}{{[]string{"often"}, 4}, {[]string{"rare"}, 1}, {nil, 4}} {
		var shown []string
		last := tail{log: log, lines: 4, types: test.types, show: collect(&shown)}
		if err := last.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(shown) != test.want {
			t.Errorf("%v: %q, want %d", test.types, shown, test.want)
		}
	}
}

func TestTailFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
		fillLog(t, log, "a", 2)
		flaky := &flakyLog{Memory: log}
		ctx, cancel := context.WithCancel(t.Context())
		var shown []string
		follows := tail{log: flaky, lines: 1, follow: true, show: collect(&shown)}
		ended := make(chan error, 1)
		go func() { ended <- follows.run(ctx) }()
		synctest.Wait()
		flaky.down.Store(true) // from the next connection on
		fillLog(t, log, "b", 1)
		synctest.Wait()
		fillLog(t, log, "c", 1)
		flaky.feed.cut()
		synctest.Wait()
		flaky.down.Store(false)
		time.Sleep(2 * tailPause)
		synctest.Wait()
		if diff := cmp.Diff([]string{"a 2", "b 1", "c 1"}, shown); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// flakyLog loses connections.
type flakyLog struct {
	*store.Memory
	down atomic.Bool
	feed *flakyFeed
}

func (l *flakyLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if l.down.Load() {
		return nil, fmt.Errorf("follow: %w", store.ErrUnavailable)
	}
	feed, err := l.Memory.Follow(ctx, f)
	if err != nil {
		return nil, err
	}
	l.feed = &flakyFeed{Feed: feed, lost: make(chan struct{})}
	return l.feed, nil
}

type flakyFeed struct {
	store.Feed
	lost chan struct{}
}

func (f *flakyFeed) cut() { close(f.lost) }

// Next fails once the feed is cut, even if there is more.
func (f *flakyFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-f.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	commits, err := f.Feed.Next(ctx, limit)
	select {
	case <-f.lost:
		return nil, fmt.Errorf("next: %w", store.ErrUnavailable)
	default:
		return commits, err
	}
}

// A feed that has passed over other types comes back with nothing.
func TestTailGoesOnAfterNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
		fillLog(t, log, "a", 2, "b", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var shown []string
		all := tail{log: haltingLog{log}, fromSet: true, follow: true, show: collect(&shown)}
		ended := make(chan error, 1)
		go func() { ended <- all.run(ctx) }()
		synctest.Wait()
		fillLog(t, log, "c", 1)
		synctest.Wait()
		if diff := cmp.Diff([]string{"a 1", "a 2", "b 1", "c 1"}, shown); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// haltingLog has feeds that deliver one commit at a time, and nothing before
// each.
type haltingLog struct{ *store.Memory }

func (l haltingLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Memory.Follow(ctx, f)
	return &haltingFeed{Feed: feed}, err
}

type haltingFeed struct {
	store.Feed
	halted bool
}

func (f *haltingFeed) Next(ctx context.Context, _ int) ([]*store.Commit, error) {
	if f.halted = !f.halted; f.halted {
		return nil, nil
	}
	return f.Feed.Next(ctx, 1)
}

func TestTailFollowsFromTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
		fillLog(t, log, "a", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var shown []string
		later := tail{log: log, fromSet: true, from: store.PositionOf(3, 0), follow: true, show: collect(&shown)}
		ended := make(chan error, 1)
		go func() { ended <- later.run(ctx) }()
		synctest.Wait()
		fillLog(t, log, "b", 1, "c", 1)
		synctest.Wait()
		if diff := cmp.Diff([]string{"c 1"}, shown); diff != "" {
			t.Error(diff)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// The limit counts what was there and what came, together.
func TestTailFollowsUntilThereWereEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := store.NewMemory(store.MemoryConfig{Codec: store.JSON})
		fillLog(t, log, "a", 1)
		var shown []string
		enough := tail{log: log, fromSet: true, lines: 3, follow: true, show: collect(&shown)}
		ended := make(chan error, 1)
		go func() { ended <- enough.run(t.Context()) }()
		synctest.Wait()
		fillLog(t, log, "b", 1, "c", 3)
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		if diff := cmp.Diff([]string{"a 1", "b 1", "c 1"}, shown); diff != "" {
			t.Error(diff)
		}
	})
}
