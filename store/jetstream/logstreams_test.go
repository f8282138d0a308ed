package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

// several is a small namespace with several log streams.
var several = Config{Partitions: 12, LogStreams: 4}

// openAgain opens the log's namespace once more, as another node would.
func openAgain(t *testing.T, servers *fixture, l *Log) *Log {
	t.Helper()
	return open(t, servers, Config{
		Namespace: l.cfg.Namespace, Partitions: l.cfg.Partitions, LogStreams: l.cfg.LogStreams, InMemory: l.cfg.InMemory, Replicas: l.cfg.Replicas,
	})
}

// spreadOut appends rounds of one commit to each of so many streams, and returns
// what the order has.
func spreadOut(t *testing.T, l *Log, streams, rounds int) []*store.Commit {
	t.Helper()
	var all []*store.Commit
	heads := make([]store.Head, streams)
	for r := range rounds {
		for i := range heads {
			c := commitOf(stream(fmt.Sprint(i)), heads[i], 1+(r+i)%3)
			head, err := l.Append(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			heads[i] = head
			all = append(all, c)
		}
	}
	return all
}

func ofStream(all []*store.Commit, id store.StreamID) (commits []*store.Commit) {
	for _, c := range all {
		if c.Stream == id {
			commits = append(commits, c)
		}
	}
	return commits
}

func wantSame(t *testing.T, what string, got, want []*store.Commit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d commits, want %d", what, len(got), len(want))
	}
	for i, c := range got {
		if w := want[i]; c.ID != w.ID || c.Sequence != w.Sequence || c.Head() != w.Head() {
			t.Fatalf("%s: commit %d is %s at %d, %+v, want %s at %d, %+v", what, i, c.ID, c.Sequence, c.Head(), w.ID, w.Sequence, w.Head())
		}
	}
}

// TestWhereCommitsAre shows what the world sees of several log streams.
func TestWhereCommitsAre(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	all := spreadOut(t, l, 24, 2)
	js := mustJetStream(t, l)
	locals := map[int]uint64{}
	for i, c := range all {
		partition := c.Stream.Partition(12)
		number := partition % 4
		locals[number]++
		if c.Sequence != uint64(i)+1 || c.Local != locals[number] {
			t.Fatalf("commit %d is at %d and %d, want %d and %d", i, c.Sequence, c.Local, i+1, locals[number])
		}
		want := fmt.Sprintf("%s.evt.%d.account.%s", l.cfg.Namespace, partition, c.Stream.ID)
		for name, at := range map[string]uint64{"": c.Sequence, fmt.Sprintf("_%d", number): c.Local} {
			s, err := js.Stream(t.Context(), "ANNALS_"+l.cfg.Namespace+"_events"+name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.GetMsg(t.Context(), at)
			if err != nil || m.Subject != want || store.HashOf(m.Data) != c.Hash {
				t.Fatalf("stream %s has %+v at %d, %v, want the commit %d on %s", name, m, at, err, i, want)
			}
		}
	}
	if len(locals) != 4 {
		t.Errorf("only %d log streams have commits", len(locals))
	}
}

// TestForgottenPlaces reads, and appends again, what was appended before the
// log remembered places: all of it, or all but the last of it.
func TestForgottenPlaces(t *testing.T) {
	t.Parallel()
	for name, truncated := range map[string]int{"whole": 0, "truncated": 9, "all but the last truncated": 15} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forgetPlaces(t, truncated)
		})
	}
}

// forgetPlaces truncates every second stream by so many commits first.
func forgetPlaces(t *testing.T, truncated int) {
	t.Helper()
	const streams, rounds = 6, 16
	shelf := &storetest.Shelf{}
	config := several
	config.Archive = shelf
	l := open(t, &single, config)
	all := spreadOut(t, l, streams, rounds)
	for i := 0; i < streams && truncated > 0; i += 2 {
		id := stream(fmt.Sprint(i))
		commits := ofStream(all, id)
		shelf.Put(commits[:truncated]...)
		if err := l.Truncate(t.Context(), id, commits[truncated-1].Head()); err != nil {
			t.Fatal(err)
		}
	}
	for what, change := range map[string]func(l *Log){
		"all are remembered": func(*Log) {},
		"none is":            func(l *Log) { l.order.warm = 0 },
		"the last are":       func(l *Log) { l.order.warm = streams * rounds / 3 },
		"few at any time": func(l *Log) {
			for i := range l.order.streams {
				l.order.streams[i].most = 8
			}
		},
		"clocks are wrong": func(l *Log) {
			l.order.warm = 0
			for i := range l.names.streams {
				later(t, l, &l.names.streams[i], time.Hour)
			}
		},
		"clocks are a little wrong": func(l *Log) {
			l.order.warm = 0
			for i := range l.names.streams {
				later(t, l, &l.names.streams[i], clockSkew-time.Millisecond)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := openAgain(t, &single, l)
			l.cfg.Archive = shelf
			change(l)
			for i := range streams {
				id := stream(fmt.Sprint(i))
				commits := ofStream(all, id)
				for n, after := range append([]*store.Commit{{}}, commits...) {
					got, err := readAll(l, id, after.Head())
					if err != nil {
						t.Fatalf("read %s after %d commits: %v", id, n, err)
					}
					wantSame(t, fmt.Sprintf("%s after %d commits", id, n), got, commits[n:])
				}
				for _, c := range []*store.Commit{commits[0], commits[rounds/2], commits[rounds-1]} {
					again := *c
					again.Sequence, again.Local = 0, 0
					if head, err := l.Append(t.Context(), &again); err != nil || head != c.Head() || again.Sequence != c.Sequence {
						t.Fatalf("append again: %+v at %d, %v, want %+v at %d", head, again.Sequence, err, c.Head(), c.Sequence)
					}
				}
			}
		})
	}
}

// TestFarDamage reads a stream that somebody has written to who should not have,
// from the order.
func TestFarDamage(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	id := stream("1")
	heads := fillStream(t, l, id, 3)
	v := &vandal{log: l, js: mustJetStream(t, l)}
	v.forge(t, id, []byte("no commit"))
	far := openAgain(t, &single, l)
	far.order.warm = 0
	for n, after := range heads {
		got, err := readAll(far, id, after)
		var damage *store.DamageError
		if !errors.As(err, &damage) || damage.Version != 4 || damage.Sequence != 4 || len(got) != 3-n {
			t.Errorf("after %d commits: %d commits, %v, want damage at version 4", n, len(got), err)
		}
	}
}

// later stands before the replicas of a log stream and lies about when they
// stored what they have.
func later(t *testing.T, l *Log, k *kept, by time.Duration) {
	t.Helper()
	actual := k.directGet
	k.directGet = fmt.Sprintf("%s.later.%s", l.cfg.Namespace, k.name)
	conn := connect(t, single.use(t)[0])
	_, err := conn.Subscribe(k.directGet, func(request *nats.Msg) {
		m, err := conn.Request(actual, request.Data, requestWait)
		if err != nil {
			return
		}
		if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(nats.JSTimeStamp)); err == nil {
			m.Header.Set(nats.JSTimeStamp, at.Add(by).Format(time.RFC3339Nano))
		}
		_ = request.RespondMsg(m)
	})
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestOrderFallsBehind stops the sourcing: what is appended is stored, but its
// place is not known, so that the outcome is not either. The identical commit
// gets its place when the order goes on.
func TestOrderFallsBehind(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	head := appendTo(t, l, stream("1"), store.Head{}, 1)
	v := &vandal{log: l, js: mustJetStream(t, l)}
	sources := v.detach(t)
	c := commitOf(stream("1"), head, 1)
	briefly := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	for range 2 {
		_, err := l.Append(briefly(), c)
		if !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || c.Sequence != 0 {
			t.Fatalf("append: %v at %d", err, c.Sequence)
		}
	}
	for _, err := range l.Read(briefly(), stream("1"), head) {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("read: %v", err)
		}
	}
	if tip, err := l.Tip(t.Context()); err != nil || tip != store.PositionOf(1, 0) {
		t.Fatalf("tip: %d, %v", tip, err)
	}
	v.attach(t, sources)
	got, err := l.Append(t.Context(), c)
	if err != nil || got.Version != 2 || c.Sequence != 2 {
		t.Fatalf("append again: %+v at %d, %v", got, c.Sequence, err)
	}
}

// TestBrokenOrder has somebody make a log stream anew, so that the order gets
// its first message once more. Nobody is given a place any more.
func TestBrokenOrder(t *testing.T) {
	t.Parallel()
	l := open(t, &single, several)
	id := stream("1")
	head := appendTo(t, l, id, store.Head{}, 1)
	appendTo(t, l, stream("2"), store.Head{}, 1)
	feed := mustFollow(t, l, store.Follow{})
	take(t, feed, 2)
	js, name := mustJetStream(t, l), l.names.streams[l.names.streamOf(id)].name
	v := &vandal{log: l, js: js}
	sources := v.detach(t)
	if err := js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), logStreamConfig(l.cfg, &l.names, l.names.streamOf(id))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v.attach(t, sources)
	if _, err := l.Append(ctx, commitOf(id, store.Head{}, 1)); !errors.Is(err, store.ErrUnknown) && err != nil {
		t.Fatalf("append: %v", err)
	}
	if _, err := feed.Next(ctx, 10); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("next: %v", err)
	}
	eventually(t, "the reader notices", func() bool { return l.order.broken() != nil })
	_, err := l.Append(ctx, commitOf(stream("2"), head, 1))
	if !errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrConflict) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.Append(ctx, commitOf(stream("3"), store.Head{}, 1)); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, store.ErrDamaged) {
		t.Errorf("append: %v", err)
	}
	if _, err := readAll(l, stream("3"), store.Head{}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	again := mustFollow(t, openAgain(t, &single, l), store.Follow{})
	_, err = again.Next(ctx, 10)
	for err == nil {
		_, err = again.Next(ctx, 10)
	}
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("next of a new feed: %v", err)
	}
}

func TestOpenVerifiesLogStreams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting string
		order   bool
		spoil   func(c *natsjs.StreamConfig)
	}{
		{"metadata annals.log_streams", true, func(c *natsjs.StreamConfig) { c.Metadata[metaLogStreams] = "3" }},
		{"metadata annals.log_streams", false, func(c *natsjs.StreamConfig) { delete(c.Metadata, metaLogStreams) }},
		{"metadata annals.kind", false, func(c *natsjs.StreamConfig) { c.Metadata[metaKind] = kindEvents }},
		{"subjects", true, func(c *natsjs.StreamConfig) { c.Subjects = []string{c.Name + ".more"} }},
		{"subjects", false, func(c *natsjs.StreamConfig) { c.Subjects = c.Subjects[:2] }},
		{"sources", true, func(c *natsjs.StreamConfig) { c.Sources = c.Sources[:3] }},
		{"sources", true, func(c *natsjs.StreamConfig) { c.Sources[1].FilterSubject = "a.>" }},
		{"sources", true, func(c *natsjs.StreamConfig) { c.Sources[1].OptStartSeq = 2 }},
		{"max_msg_size", true, func(c *natsjs.StreamConfig) { c.MaxMsgSize -= maxSourcedBytes }},
		{"deny_delete", true, func(c *natsjs.StreamConfig) { c.DenyDelete = false }},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			cfg := several
			cfg.Conn, cfg.Namespace = connect(t, single.use(t)[0]), namespace(t)
			cfg = cfg.withDefaults()
			n := newNames(cfg.Namespace, cfg.Partitions, cfg.LogStreams)
			js, err := natsjs.New(cfg.Conn)
			if err != nil {
				t.Fatal(err)
			}
			spoiled := n.order.name
			if !c.order {
				spoiled = n.streams[1].name
			}
			all := []natsjs.StreamConfig{logStreamConfig(cfg, &n, 0), logStreamConfig(cfg, &n, 1), orderConfig(cfg, &n)}
			for _, made := range all {
				if made.Name == spoiled {
					c.spoil(&made)
				}
				if _, err := js.CreateStream(t.Context(), made); err != nil {
					t.Fatal(err)
				}
			}
			if !c.order { // the order vouches for what it sources
				for i := range n.streams {
					if _, err := js.CreateStream(t.Context(), logStreamConfig(cfg, &n, i)); err != nil && i != 1 {
						t.Fatal(err)
					}
				}
			}
			_, err = Open(t.Context(), cfg)
			wantDifference(t, err, spoiled, c.setting)
		})
	}
}

func TestLogStreamsAreFixed(t *testing.T) {
	t.Parallel()
	one, four := open(t, &single, Config{Partitions: 12}), open(t, &single, several)
	for _, c := range []struct {
		l          *Log
		logStreams int
	}{{one, 4}, {four, 1}, {four, 0}, {four, 3}} {
		cfg := Config{Conn: c.l.cfg.Conn, Namespace: c.l.cfg.Namespace, Partitions: 12, LogStreams: c.logStreams}
		_, err := Open(t.Context(), cfg)
		wantDifference(t, err, c.l.names.order.name, "metadata annals.log_streams")
	}
	for l, want := range map[*Log]int{one: 1, four: 4} {
		c, err := Existing(t.Context(), l.cfg.Conn, l.cfg.Namespace)
		if err != nil || c.LogStreams != want {
			t.Errorf("%d log streams, %v, want %d", c.LogStreams, err, want)
		}
		again, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Close()
	}
	names, err := Namespaces(t.Context(), four.cfg.Conn)
	if err != nil || !slices.Contains(names, four.cfg.Namespace) {
		t.Errorf("%s is not among %q, %v", four.cfg.Namespace, names, err)
	}
	if err := mustJetStream(t, four).DeleteStream(t.Context(), four.names.streams[2].name); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), four.cfg); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a log stream is gone: %v", err)
	}
}
