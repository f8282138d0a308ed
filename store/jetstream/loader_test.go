package jetstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// historyOf returns the commits of a namespace that got so many over a few
// streams.
func historyOf(t testing.TB, l *Log, commits int) []*store.Commit {
	t.Helper()
	random := rand.New(rand.NewPCG(5, uint64(commits)))
	heads := map[string]store.Head{}
	all := make([]*store.Commit, commits)
	for i := range all {
		id := fmt.Sprint(random.IntN(7))
		c := commitOf(stream(id), heads[id], 1+random.IntN(3))
		head, err := l.Append(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		heads[id], all[i] = head, c
	}
	return all
}

func mustLoader(t *testing.T, l *Log) *Loader {
	t.Helper()
	d, err := l.Loader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// load loads the commits and flushes.
func load(t *testing.T, d *Loader, commits []*store.Commit) {
	t.Helper()
	for _, c := range commits {
		if err := d.Load(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantHistory(t *testing.T, l *Log, want []*store.Commit) {
	t.Helper()
	if diff := cmp.Diff(want, take(t, mustFollow(t, l, store.Follow{}), len(want))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i := range 7 {
		var own []*store.Commit
		for _, c := range want {
			if c.Stream == stream(fmt.Sprint(i)) {
				own = append(own, c)
			}
		}
		got, err := readAll(l, stream(fmt.Sprint(i)), store.Head{})
		if diff := cmp.Diff(own, got); diff != "" || err != nil {
			t.Errorf("stream %d: %v\n%s", i, err, diff)
		}
	}
}

// What is loaded is the history that it was, and goes on like any other.
func TestLoaderCopies(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name       string
		servers    *fixture
		commits    int
		logStreams int
	}{{"single", &single, 3000, 1}, {"single, 4 log streams", &single, 3000, 4}, {"cluster", &cluster, 300, 1}, {"cluster, 2 log streams", &cluster, 300, 2}} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			config := Config{LogStreams: f.logStreams}
			want := historyOf(t, open(t, &single, config), f.commits)
			config.FilledFrom = "test"
			l := open(t, f.servers, config)
			load(t, mustLoader(t, l), want)
			wantHistory(t, l, want)
			if err := l.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := open(t, f.servers, Config{Namespace: l.cfg.Namespace, LogStreams: f.logStreams})
			next := commitOf(want[f.commits-1].Stream, want[f.commits-1].Head(), 1)
			if _, err := again.Append(t.Context(), next); err != nil || next.Sequence != uint64(f.commits+1) {
				t.Errorf("append after it: sequence %d, %v", next.Sequence, err)
			}
		})
	}
}

// Messages are lost and repeated; the history is what it was.
func TestLoaderDisturbed(t *testing.T) {
	t.Parallel()
	for _, logStreams := range []int{1, 4} {
		t.Run(fmt.Sprint(logStreams), func(t *testing.T) {
			t.Parallel()
			loadDisturbed(t, logStreams)
		})
	}
}

func loadDisturbed(t *testing.T, logStreams int) {
	t.Helper()
	want := historyOf(t, open(t, &single, Config{LogStreams: logStreams}), 400)
	l := open(t, &single, Config{FilledFrom: "test", LogStreams: logStreams})
	random := rand.New(rand.NewPCG(6, 7))
	send := l.send
	var held *nats.Msg
	l.send = func(m *nats.Msg) error {
		copied := *m
		switch random.IntN(80) {
		case 0: // arrives late, after others
			held = &copied
			return nil
		case 1: // arrives twice
			_ = send(&copied)
		case 2:
			return nats.ErrConnectionReconnecting
		case 3:
			if held != nil {
				_ = send(held)
			}
		}
		return send(m)
	}
	d := mustLoader(t, l)
	load(t, d, want)
	if d.End() != 400 {
		t.Errorf("end at %d", d.End())
	}
	wantHistory(t, l, want)
}

// A loader goes on where another stopped.
func TestLoaderGoesOn(t *testing.T) {
	t.Parallel()
	want := historyOf(t, open(t, &single, Config{}), 100)
	first := open(t, &single, Config{FilledFrom: "test"})
	d := mustLoader(t, first)
	load(t, d, want[:40])
	d.Close()
	if err := d.Load(t.Context(), want[40]); err == nil {
		t.Error("a closed loader loads")
	}
	second := open(t, &single, Config{Namespace: first.cfg.Namespace, FilledFrom: "test"})
	d = mustLoader(t, second)
	if d.End() != 40 {
		t.Fatalf("end at %d", d.End())
	}
	load(t, d, want[40:])
	wantHistory(t, second, want)
}

// Who makes commits knows the heads before they are stored.
func TestLoaderPlaces(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{FilledFrom: "test"})
	d := mustLoader(t, l)
	heads := map[string]store.Head{}
	var want []*store.Commit
	for i := range 500 {
		id := fmt.Sprint(i % 7)
		c := commitOf(stream(id), heads[id], 2)
		head, err := d.Place(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		heads[id] = head
		want = append(want, c)
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHistory(t, l, want)
}

func TestLoaderRefuses(t *testing.T) {
	t.Parallel()
	want := historyOf(t, open(t, &single, Config{}), 10)
	l := open(t, &single, Config{FilledFrom: "test"})
	d := mustLoader(t, l)
	changed := *want[0]
	changed.Epoch = 3
	for what, c := range map[string]struct {
		commit *store.Commit
		want   error
	}{
		"one that is not the next": {want[1], store.ErrInvalid},
		"other bytes":              {&changed, store.ErrDamaged},
	} {
		if err := d.Load(t.Context(), c.commit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	load(t, d, want)
}

// Somebody else writes to the namespace: the loader says so, and overwrites nothing.
func TestLoaderNoticesOthers(t *testing.T) {
	t.Parallel()
	want := historyOf(t, open(t, &single, Config{}), 20)
	l := open(t, &single, Config{FilledFrom: "test"})
	d := mustLoader(t, l)
	load(t, d, want[:5])
	appendTo(t, l, stream("other"), store.Head{}, 1)
	err := errors.Join(d.Load(t.Context(), want[5]), d.Flush(t.Context()))
	if !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if err := d.Load(t.Context(), want[6]); !errors.Is(err, store.ErrConflict) {
		t.Errorf("after it: %v", err)
	}
}

// A namespace that is being filled is opened by nobody else, and one that has a
// history of its own is not filled.
func TestFilledFrom(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{FilledFrom: "backup 1"})
	config := Config{Conn: l.cfg.Conn, Namespace: l.cfg.Namespace}
	var unfinished *UnfinishedError
	if _, err := Open(t.Context(), config); !errors.As(err, &unfinished) || !errors.Is(err, store.ErrInvalid) || unfinished.From != "backup 1" {
		t.Errorf("opened unfinished: %v", err)
	}
	if from, err := FilledFrom(t.Context(), config); err != nil || from != "backup 1" {
		t.Errorf("filled from %q, %v", from, err)
	}
	config.FilledFrom = "backup 2"
	if _, err := Open(t.Context(), config); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("opened to be filled from another: %v", err)
	}
	if err := l.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	config.FilledFrom = ""
	whole, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if _, err := whole.Loader(t.Context()); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a loader of a namespace that is not to be filled: %v", err)
	}
	config.FilledFrom = "backup 1" // it is empty yet
	marked, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer marked.Close()
	if err := marked.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendTo(t, whole, stream("1"), store.Head{}, 1)
	if _, err := Open(t.Context(), config); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("opened to be filled though it has events: %v", err)
	}
	config.Namespace = "no-such-namespace"
	if _, err := FilledFrom(t.Context(), config); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such namespace: %v", err)
	}
}

// The server that leads a stream may not have opened it yet, where several open a new
// namespace at once: the mark is asked for again then.
func TestMarkOfAStreamThatIsNotOpenYet(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	n := newNames(l.cfg.Namespace+"-other", 0, 1)
	js := mustJetStream(t, l)
	for what, err := range map[string]error{
		"look at the mark": checkMark(t.Context(), js, Config{}, &n), "keep commands": switchOn(t.Context(), js, n.order.name),
	} {
		if api := (*natsjs.APIError)(nil); err == nil || !isTransient(err) || errors.As(err, &api) {
			t.Errorf("%s: %v, want an error that passes", what, err)
		}
	}
}

// The stream's leader steps down while a loader is at work.
func TestLoaderLeaderStepsDown(t *testing.T) {
	t.Parallel()
	want := historyOf(t, open(t, &single, Config{}), 600)
	l := open(t, &cluster, Config{FilledFrom: "test"})
	d := mustLoader(t, l)
	for i, c := range want {
		if i == 200 || i == 400 {
			mustStepDown(t, l, &l.names.order)
		}
		if err := d.Load(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHistory(t, l, want)
}

// BenchmarkLoad loads commits of streams that are spread at random, into one log
// stream and into several.
func BenchmarkLoad(b *testing.B) {
	for _, servers := range []struct {
		name string
		*fixture
	}{{"one", &single}, {"three", &cluster}} {
		for _, logStreams := range []int{1, 2, 4, 16} {
			b.Run(fmt.Sprintf("servers=%s/streams=%d", servers.name, logStreams), func(b *testing.B) { benchLoad(b, servers.fixture, logStreams) })
		}
	}
}

func benchLoad(b *testing.B, servers *fixture, logStreams int) {
	l := open(b, servers, Config{FilledFrom: "test", LogStreams: logStreams})
	d, err := l.Loader(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	source := commitOf(stream("1"), store.Head{}, 1)
	began := time.Now()
	n := 0
	for b.Loop() {
		c := *source
		c.Stream = stream(fmt.Sprint(n))
		if _, err := d.Place(b.Context(), &c); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := d.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "commits/s")
}
