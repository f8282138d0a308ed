package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// requests counts what a read asks the server.
func requests(l *Log, read func()) uint64 {
	before := l.cfg.Conn.Stats().OutMsgs
	read()
	return l.cfg.Conn.Stats().OutMsgs - before
}

// readingOf starts a read whose commits are collected in got.
func readingOf(l *Log, id store.StreamID, after store.Head, got *[]*store.Commit) *reading {
	return l.newReading(id, id.ID, after, func(c *store.Commit, _ error) bool {
		*got = append(*got, c)
		return true
	})
}

func TestReadTakesTheLeast(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	const most = walkLen + 100
	id, ctx := stream("1"), context.Background()
	heads := fillStream(t, l, id, most)
	end, err := l.fetch(ctx, l.names.order.leaderGet, lastOn(l.names.subject(id, id.ID)))
	if err != nil {
		t.Fatal(err)
	}
	read := func(_ *reading) error { return nil }
	walk := func(r *reading) error {
		r.log.step.nanoseconds.Store(0) // then it always pays
		tail, ok := r.walk(ctx, end)
		if !ok {
			return errors.New("it does not walk")
		}
		return r.emitReversed(tail)
	}
	forward := func(r *reading) error { return r.forward(ctx, end) }
	for _, c := range []struct {
		name     string
		how      func(r *reading) error
		behind   int
		requests uint64
	}{
		{"nothing was added", read, 0, 1},
		{"the last commit was added", read, 1, 1},
		{"some were added", walk, 5, 4},
		{"as many as are walked", walk, walkLen, walkLen - 1},
		{"a batch", forward, batchLen, 1},
		{"batches", forward, most, (most + batchLen - 1) / batchLen},
	} {
		var got []*store.Commit
		var err error
		n := requests(l, func() {
			if c.behind < 2 {
				got, err = readAll(l, id, heads[most-c.behind])
				return
			}
			err = c.how(readingOf(l, id, heads[most-c.behind], &got))
		})
		if err != nil || len(got) != c.behind || n != c.requests {
			t.Errorf("%s: %d commits of %d, %v, by %d requests, want %d", c.name, len(got), c.behind, err, n, c.requests)
		}
	}
}

func TestWalkPays(t *testing.T) {
	t.Parallel()
	const local, network = 25 * time.Microsecond, 300 * time.Microsecond
	for _, c := range []struct {
		name            string
		commits, passed uint64
		roundTrip       time.Duration
		want            bool
	}{
		{"one, nearby", 1, 2, local, true},
		{"written together, nearby", 100, 100, local, false},
		{"spread, nearby", 100, 100_000, local, true},
		{"spread, over a network", 100, 100_000, network, false},
		{"spread thinly, over a network", 100, 1_000_000, network, true},
		{"too many", walkLen + 1, 10_000_000, local, false},
	} {
		r := &reading{log: &Log{}}
		r.log.step.observe(c.roundTrip)
		last := commitOf(stream("1"), store.Head{Version: c.commits, Sequence: c.passed - 1}, 1)
		last.Local = c.passed
		if got := r.walkPays(last); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestReadCreatesNoConsumer(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	fillStream(t, l, stream("1"), walkLen+10)
	if _, err := readAll(l, stream("1"), store.Head{}); err != nil {
		t.Fatal(err)
	}
	s, err := mustJetStream(t, l).Stream(context.Background(), l.names.order.name)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers", n)
	}
}

// TestReplicaBehind answers direct gets as a replica does that lacks the end of
// the log, or all of it. Whatever it has or has not, the read is whole.
func TestReplicaBehind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		has  int // commits that the replica has
	}{
		{"nothing", 0},
		{"the beginning", 40},
		{"all but one", walkLen + 299},
	} {
		for _, commits := range []int{20, walkLen + 300} {
			t.Run(fmt.Sprintf("%s of %d", c.name, commits), func(t *testing.T) {
				t.Parallel()
				l := open(t, &single, Config{})
				heads := fillStream(t, l, stream("1"), commits)
				laggard(t, l, heads[min(c.has, commits-1)].Sequence)
				got, err := readAll(l, stream("1"), store.Head{})
				if err != nil || len(got) != commits {
					t.Fatalf("%d commits of %d, %v", len(got), commits, err)
				}
			})
		}
	}
}

// laggard stands before the replicas of a log, and hides what is beyond the
// sequence last.
func laggard(t *testing.T, l *Log, last uint64) {
	t.Helper()
	real := l.names.streams[0].directGet
	l.names.streams[0].directGet = l.cfg.Namespace + ".laggard"
	conn := connect(t, single.use(t)[0])
	_, err := conn.Subscribe(l.names.streams[0].directGet, func(request *nats.Msg) {
		inbox := conn.NewInbox()
		sub, err := conn.SubscribeSync(inbox)
		if err == nil {
			err = conn.PublishRequest(real, inbox, request.Data)
		}
		for err == nil {
			var m *nats.Msg
			if m, err = sub.NextMsg(requestWait); err != nil {
				break
			}
			if found, broken := readDirect(m, false); broken == nil && found.sequence > last {
				m = newMsg("", nil)
				m.Header.Set(statusHeader, statusNotFound)
			}
			m.Subject, m.Reply = request.Reply, ""
			if err = conn.PublishMsg(m); m.Header.Get(statusHeader) != "" || !bytes.Contains(request.Data, []byte("batch")) {
				break
			}
		}
		_ = sub.Unsubscribe()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestForgedShortCut stores a commit, without the check that the log's own
// appends ask for, which names an old commit as its predecessor: to walk back
// from it would leave out what lies between.
func TestForgedShortCut(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	id := stream("1")
	heads := fillStream(t, l, id, 5)
	data, err := store.EncodeCommit(l.cfg.Codec, commitOf(id, heads[2], 1))
	if err != nil {
		t.Fatal(err)
	}
	v := &vandal{log: l, js: mustJetStream(t, l)}
	v.forge(t, id, data)
	got, err := readAll(l, id, store.Head{})
	var damage *store.DamageError
	if !errors.As(err, &damage) || damage.Version != 6 || len(got) != 5 {
		t.Fatalf("%d commits, %v, want 5 and damage at version 6", len(got), err)
	}
}

// TestReadOfRestored reads a stream whose messages have lost their headers, as
// those of a mirror or a source have.
func TestReadOfRestored(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	id := stream("1")
	v := &vandal{log: l, js: mustJetStream(t, l)}
	var head store.Head
	for range 30 {
		c := commitOf(id, head, 2)
		data, err := store.EncodeCommit(l.cfg.Codec, c)
		if err != nil {
			t.Fatal(err)
		}
		v.forge(t, id, data)
		c.Sequence, c.Local, c.Hash = head.Sequence+1, head.Sequence+1, store.HashOf(data)
		head = c.Head()
	}
	got, err := readAll(l, id, store.Head{})
	if err != nil || len(got) != 30 || got[29].Head() != head {
		t.Fatalf("%d commits, %v", len(got), err)
	}
	if next := appendTo(t, l, id, head, 1); next.Version != 61 {
		t.Fatalf("the next append ends at %+v", next)
	}
	if got, err = readAll(l, id, head); err != nil || len(got) != 1 {
		t.Fatalf("%d commits, %v", len(got), err)
	}
}

func TestTipOfManyTypes(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	want := map[string]store.Position{}
	for _, typ := range []string{"a", "b", "c", "b"} {
		id := store.StreamID{Type: typ, ID: fmt.Sprint(len(want), typ)}
		head := appendTo(t, l, id, store.Head{}, 3)
		want[typ] = store.PositionOf(head.Sequence, 2)
	}
	for _, c := range []struct {
		types []string
		want  store.Position
	}{
		{nil, want["b"]}, {[]string{"b"}, want["b"]}, {[]string{"a"}, want["a"]}, {[]string{"a", "c"}, want["c"]}, {[]string{"none"}, 0},
	} {
		if got, err := l.Tip(context.Background(), c.types...); err != nil || got != c.want {
			t.Errorf("tip of %v: %d, %v, want %d", c.types, got, err, c.want)
		}
	}
}
