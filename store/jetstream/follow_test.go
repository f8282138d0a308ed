package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

func mustFollow(t *testing.T, l *Log, f store.Follow) store.Feed {
	t.Helper()
	feed, err := l.Follow(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = feed.Close() })
	return feed
}

// take reads n commits.
func take(t *testing.T, feed store.Feed, n int) (got []*store.Commit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for len(got) < n {
		commits, err := feed.Next(ctx, n-len(got))
		if err != nil {
			t.Fatalf("next, after %d of %d: %v", len(got), n, err)
		}
		got = append(got, commits...)
	}
	return got
}

// wantLost checks that a feed that waits fails.
func wantLost(t *testing.T, feed store.Feed, after func()) {
	t.Helper()
	failed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() {
		_, err := feed.Next(ctx, 1)
		failed <- err
	}()
	after()
	if err := <-failed; !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("next: %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := feed.Next(ctx, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("next again: %v, want %v", err, store.ErrUnavailable)
	}
}

func TestFeedIsVisible(t *testing.T) {
	t.Parallel()
	for _, servers := range []*fixture{&single, &cluster} {
		l := open(t, servers, Config{})
		heads := fillStream(t, l, stream("1"), 10)
		feed := mustFollow(t, l, store.Follow{Name: "view-1"})
		take(t, feed, 6)
		feed.Acknowledge(store.PositionOf(heads[6].Sequence, 0))
		info := func() *natsjs.ConsumerInfo {
			c, err := mustJetStream(t, l).Consumer(context.Background(), l.names.order.name, "view-1")
			if err != nil {
				t.Fatal(err)
			}
			return c.CachedInfo()
		}
		eventually(t, "the acknowledgement arrives", func() bool { return info().AckFloor.Stream == heads[6].Sequence })
		if err := feed.Close(); err != nil {
			t.Fatal(err)
		}
		if got := info(); got.Config.Replicas != 1 || !got.Config.MemoryStorage || got.Config.Metadata[metaKind] != "feed" {
			t.Errorf("the consumer is %+v", got.Config)
		}
	}
}

func TestAnonymousFeedLeavesNoTrace(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	fillStream(t, l, stream("1"), 3)
	feed := mustFollow(t, l, store.Follow{})
	take(t, feed, 3)
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := mustJetStream(t, l).Stream(context.Background(), l.names.order.name)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers are left", n)
	}
}

func TestFeedLost(t *testing.T) {
	t.Parallel()
	s := single.use(t)[0]
	l := open(t, &single, Config{})
	fillStream(t, l, stream("1"), 3)
	for what, harm := range map[string]func(l *Log, name string){
		"consumer deleted": func(l *Log, name string) {
			if err := mustJetStream(t, l).DeleteConsumer(context.Background(), l.names.order.name, name); err != nil {
				t.Error(err)
			}
		},
		"connection lost": func(l *Log, _ string) {
			id, err := l.cfg.Conn.GetClientID()
			if err == nil {
				err = s.DisconnectClientByID(id)
			}
			if err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l := open(t, &single, Config{Namespace: l.cfg.Namespace})
			name := strings.ReplaceAll(what, " ", "-")
			feed := mustFollow(t, l, store.Follow{Name: name})
			take(t, feed, 3)
			wantLost(t, feed, func() { harm(l, name) })
			eventually(t, "the connection is back", l.cfg.Conn.IsConnected)
			take(t, mustFollow(t, l, store.Follow{Name: name}), 3)
		})
	}
}

// TestPassedOver follows a type of which there is little among much else: the
// server is told how far the feed came, though its reader gets nothing to
// acknowledge.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	f := mustFollow(t, l, store.Follow{Name: "offers", Types: []string{"offer"}}).(*feed)
	acks, err := l.cfg.Conn.SubscribeSync("$JS.ACK.S.C.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []uint64{1, maxUnacknowledged/2 - 1, maxUnacknowledged / 2, maxUnacknowledged/2 + 1, maxUnacknowledged} {
		f.deliveries, f.sequence = number-1, number-1
		f.take(context.Background(), deliver(t, l, number, number))
	}
	if len(f.ready) > 0 || f.failure != nil {
		t.Fatalf("%d commits are ready, %v", len(f.ready), f.failure)
	}
	for _, want := range []int{maxUnacknowledged / 2, maxUnacknowledged} {
		m, err := acks.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if at, err := readDelivery(m.Subject); err != nil || at.number != uint64(want) {
			t.Fatalf("%s is acknowledged, %v, want %d", m.Subject, err, want)
		}
	}
}

// TestZombieCannotPull has a feed ask its successor's consumer, as one does that
// slept while its name was taken over: it gets nothing, and takes nothing away.
func TestZombieCannotPull(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	all := fillStream(t, l, stream("1"), 20)
	zombie := mustFollow(t, l, store.Follow{Name: "view"}).(*feed)
	heir := mustFollow(t, l, store.Follow{Name: "view"})
	inbox := l.cfg.Conn.NewInbox()
	sub, err := l.cfg.Conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	zombie.pulls.inbox = inbox
	if err := zombie.pulls.refill(10); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(patience)
	if err != nil || m.Reply != "" || m.Header.Get(statusHeader) != "400" {
		t.Fatalf("the zombie got %+v, %v, want a refusal", m, err)
	}
	if got := take(t, heir, 20); got[19].Head() != all[20] {
		t.Fatalf("the heir ends at %+v", got[19].Head())
	}
}

// TestTakeOverAtOnce has several want one name. One gets it, and all commits.
func TestTakeOverAtOnce(t *testing.T) {
	t.Parallel()
	const rivals, commits = 4, 30
	l := open(t, &single, Config{})
	all := fillStream(t, l, stream("1"), commits)
	feeds := make([]store.Feed, rivals)
	var wg sync.WaitGroup
	for i := range feeds {
		wg.Go(func() {
			feed, err := l.Follow(context.Background(), store.Follow{Name: "view"})
			if err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			}
			feeds[i] = feed
		})
	}
	wg.Wait()
	winners := 0
	for _, feed := range feeds {
		if feed == nil {
			continue
		}
		n, err := 0, error(nil)
		for n < commits && err == nil {
			var got []*store.Commit
			got, err = feed.Next(context.Background(), commits)
			for _, c := range got {
				if n++; c.Head() != all[n] {
					t.Fatalf("commit %d is %+v", n, c.Head())
				}
			}
		}
		if err == nil {
			winners++
		} else if !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		_ = feed.Close()
	}
	if winners != 1 {
		t.Errorf("%d feeds delivered everything", winners)
	}
}

func TestFeedOfDamage(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	heads := fillStream(t, l, stream("1"), 3)
	v := &vandal{log: l, js: mustJetStream(t, l)}
	v.forge(t, stream("1"), []byte("no commit"))
	appendTo(t, l, stream("2"), store.Head{}, 1)
	feed := mustFollow(t, l, store.Follow{})
	take(t, feed, 3)
	for range 2 {
		_, err := feed.Next(context.Background(), 10)
		want := store.DamageError{Stream: stream("1"), Version: 4, Sequence: heads[3].Sequence + 1}
		var damage *store.DamageError
		if !errors.As(err, &damage) || damage.Stream != want.Stream || damage.Version != want.Version || damage.Sequence != want.Sequence {
			t.Fatalf("next: %v, want damage of %s from version %d on", err, want.Stream, want.Version)
		}
	}
}

// TestFeedOfMisplaced stores a good commit of one stream in the place of another.
func TestFeedOfMisplaced(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	data, err := store.EncodeCommit(l.cfg.Codec, commitOf(stream("2"), store.Head{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	v := &vandal{log: l, js: mustJetStream(t, l)}
	v.forge(t, stream("1"), data)
	appendTo(t, l, stream("3"), store.Head{}, 1)
	if _, err := mustFollow(t, l, store.Follow{}).Next(context.Background(), 1); !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("next: %v, want damage", err)
	}
}

// deliver makes the message that a consumer delivers.
func deliver(t *testing.T, l *Log, sequence, number uint64) *nats.Msg {
	t.Helper()
	data, err := store.EncodeCommit(l.cfg.Codec, commitOf(stream("1"), store.Head{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{
		Subject: l.names.subject(stream("1"), "1"),
		Reply:   fmt.Sprintf("$JS.ACK.S.C.1.%d.%d.1700000000000000000.5", sequence, number),
		Data:    data,
	}
}

func TestFeedNoticesGaps(t *testing.T) {
	t.Parallel()
	type d struct{ sequence, number uint64 }
	for _, c := range []struct {
		name       string
		deliveries []d
		ready      []uint64
		failure    error
	}{
		{"in order", []d{{1, 1}, {2, 2}, {3, 3}}, []uint64{1, 2, 3}, nil},
		{"one is missing", []d{{1, 1}, {3, 3}}, []uint64{1}, store.ErrUnavailable},
		{"the first is missing", []d{{2, 2}}, nil, store.ErrUnavailable},
		{"out of order", []d{{1, 1}, {3, 3}, {2, 2}}, []uint64{1}, store.ErrUnavailable},
		{"delivered again", []d{{1, 1}, {2, 2}, {1, 3}, {2, 4}, {3, 5}}, []uint64{1, 2, 3}, nil},
		{"another consumer", []d{{1, 1}, {2, 2}, {1, 1}}, []uint64{1, 2}, store.ErrUnavailable},
		{"the server passes over one", []d{{1, 1}, {3, 2}}, []uint64{1}, store.ErrArchived},
		{"the server passes over the first", []d{{2, 1}}, nil, store.ErrArchived},
	} {
		l := &Log{cfg: Config{Archive: &storetest.Shelf{}}.withDefaults(), names: newNames("ns", defaultPartitions, 1)}
		l.truncated.Store(true)
		f := &feed{line: line{log: l}}
		for _, d := range c.deliveries {
			if f.failure == nil {
				f.take(context.Background(), deliver(t, l, d.sequence, d.number))
			}
			if f.held != nil && f.failure == nil {
				_ = f.bridge(context.Background(), 1)
			}
		}
		var ready []uint64
		for _, t := range f.ready {
			ready = append(ready, t.commit.Sequence)
		}
		if fmt.Sprint(ready) != fmt.Sprint(c.ready) || !errors.Is(f.failure, c.failure) {
			t.Errorf("%s: %v are ready, %v, want %v", c.name, ready, f.failure, c.ready)
		}
	}
}

func TestReadDelivery(t *testing.T) {
	t.Parallel()
	want := delivery{sequence: 7, number: 3, pending: 12}
	for reply, ok := range map[string]bool{
		"$JS.ACK.S.C.1.7.3.1700000000000000000.12":           true,
		"$JS.ACK._.HASH.S.C.1.7.3.1700000000000000000.12":    true,
		"$JS.ACK.hub.HASH.S.C.1.7.3.1700000000000000000.12.": true,
		"$JS.ACK.hub.H.S.C.1.7.3.1700000000000000000.12.x.y": true,
		"$JS.ACK.S.C.1.7.3.1700000000000000000":              false,
		"$JS.ACK.S.C.1.x.3.1700000000000000000.12":           false,
		"_INBOX.abc": false,
		"":           false,
	} {
		got, err := readDelivery(reply)
		if (err == nil) != ok || ok && got != want {
			t.Errorf("%q: %+v, %v", reply, got, err)
		}
	}
}

func TestPulls(t *testing.T) {
	t.Parallel()
	asked := 0
	p := pulls{heard: true, publish: func(string, string, []byte) error {
		asked++
		return nil
	}}
	refill := func(want int) {
		t.Helper()
		if err := p.refill(1000); err != nil || asked != want {
			t.Fatalf("%d pulls, %v, want %d, with %d still to come", asked, err, want, p.left)
		}
	}
	status := func(code, text, pending string) error {
		return p.status(nats.Header{statusHeader: {code}, descriptionHeader: {text}, pendingHeader: {pending}})
	}
	refill(1)
	refill(1)
	p.left -= 499
	refill(1)
	p.left--
	refill(2)
	if err := status("100", "Idle Heartbeat", "1500"); err != nil || p.left != 1500 {
		t.Fatalf("heartbeat: %v, %d to come", err, p.left)
	}
	if err := status("408", "Request Timeout", "500"); err != nil || p.left != 1000 {
		t.Fatalf("expired: %v, %d to come", err, p.left)
	}
	if err := status("409", conflictMaxBytes, "990"); err != nil || p.left != 10 {
		t.Fatalf("too many bytes: %v, %d to come", err, p.left)
	}
	refill(3)
	for _, text := range []string{"Consumer Deleted", "Leadership Change", "Server Shutdown"} {
		if err := status("409", text, "10"); err == nil {
			t.Errorf("%s: the feed goes on", text)
		}
	}
	if err := status("503", "", ""); err == nil {
		t.Error("nobody there: the feed goes on")
	}
}

// TestUnacknowledged follows a reader that acknowledges nothing: before the
// server would stop, something is acknowledged in its place.
func TestUnacknowledged(t *testing.T) {
	t.Parallel()
	var p progress
	const batch = 1000
	acknowledged, number := uint64(0), uint64(0)
	for range 10 * maxUnacknowledged / batch {
		number += batch
		p.add(mark{position: store.PositionOf(number, 0), reply: fmt.Sprint(number), number: number})
		if reply, ok := p.overdue(); ok {
			if reply != fmt.Sprint(number) {
				t.Fatalf("%s is acknowledged, want the last one, %d", reply, number)
			}
			acknowledged = number
		}
		if open := number - acknowledged; open > maxUnacknowledged/2+batch {
			t.Fatalf("%d are not acknowledged", open)
		}
		if len(p.marks) > maxMarks {
			t.Fatalf("%d marks", len(p.marks))
		}
	}
}

func TestAcknowledgeUpTo(t *testing.T) {
	t.Parallel()
	var p progress
	for _, n := range []uint64{10, 20, 30} {
		p.add(mark{position: store.PositionOf(n, 1), reply: fmt.Sprint(n), number: n})
	}
	for _, c := range []struct {
		at   store.Position
		want string
	}{
		{store.PositionOf(9, 0), ""},
		{store.PositionOf(20, 0), "10"},
		{store.PositionOf(10, 1), ""},
		{store.PositionOf(99, 0), "30"},
		{store.PositionOf(99, 0), ""},
	} {
		if reply, ok := p.acknowledge(c.at); reply != c.want || ok != (c.want != "") {
			t.Errorf("acknowledge %d: %q, want %q", c.at, reply, c.want)
		}
	}
}

// TestShortWaitsAddUp has a reader that waits in short steps: the server's
// silence is noticed all the same.
func TestShortWaitsAddUp(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	f := mustFollow(t, l, store.Follow{}).(*feed)
	f.pulls.subject = l.cfg.Namespace + ".silence"
	f.pulls.since = time.Now().Add(-firstPatience)
	if _, err := l.cfg.Conn.SubscribeSync(f.pulls.subject); err != nil {
		t.Fatal(err)
	}
	var err error
	const step, most = 50 * time.Millisecond, 10 * firstSilence
	steps := 0 // each is at least that long, and longer on a busy machine
	for ; (errors.Is(err, context.DeadlineExceeded) || err == nil) && steps < int(most/step); steps++ {
		ctx, cancel := context.WithTimeout(context.Background(), step)
		_, err = f.Next(ctx, 1)
		cancel()
	}
	if !errors.Is(err, errSilent) {
		t.Fatalf("next after %d steps of %s: %v", steps, step, err)
	}
}
