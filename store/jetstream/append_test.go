package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

// startOwn starts a server that belongs to the test.
func startOwn(t *testing.T, change func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{
		ServerName: namespace(t), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(),
	}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	return s
}

// TestWhatIsStored shows what the world sees of an append.
func TestWhatIsStored(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{Partitions: 16})
	id := store.StreamID{Type: "application", ID: "173 688"}
	first := appendTo(t, l, id, store.Head{}, 2)
	second := appendTo(t, l, id, first, 1)
	s, err := mustJetStream(t, l).Stream(context.Background(), "ANNALS_"+l.cfg.Namespace+"_events")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ head, after store.Head }{{first, store.Head{}}, {second, first}} {
		m, err := s.GetMsg(context.Background(), c.head.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if want := l.cfg.Namespace + ".evt.15.application.173=20688"; m.Subject != want {
			t.Errorf("subject %s, want %s", m.Subject, want)
		}
		if got, want := m.Header.Get("Nats-Expected-Last-Subject-Sequence"), strconv.FormatUint(c.after.Sequence, 10); got != want {
			t.Errorf("expectation %q, want %q", got, want)
		}
		if id := m.Header.Get("Nats-Msg-Id"); id != "" {
			t.Errorf("message id %q: the server would remember it", id)
		}
		if store.HashOf(m.Data) != c.head.Hash {
			t.Errorf("sequence %d has another hash than the append returned", c.head.Sequence)
		}
	}
}

// TestOversize shows that what is too large for a server does not cost the
// connection: a server closes one that sends too much.
func TestOversize(t *testing.T) {
	t.Parallel()
	s := startOwn(t, func(o *server.Options) { o.MaxPayload = 32 << 10 })
	conn := connect(t, s)
	l := open(t, &single, Config{Conn: conn})
	id := stream("1")
	head := appendTo(t, l, id, store.Head{}, 1)
	for _, size := range []int{32 << 10, 33 << 10, 400 << 10} {
		c := commitOf(id, head, 1)
		c.Events[0].Data = append([]byte{0xc6, 0, byte(size >> 16), byte(size >> 8), byte(size)}, make([]byte, size)...)
		_, err := l.Append(context.Background(), c)
		var large *store.TooLargeError
		if !errors.Is(err, store.ErrRefused) || !errors.As(err, &large) || large.Size < size || large.Limit > 32<<10 {
			t.Fatalf("append of %d bytes: %v", size, err)
		}
		snapshot := &store.Snapshot{
			Stream: id, Head: head, Position: store.PositionOf(head.Sequence, 0), Time: time.Now(), Schema: 1, State: make([]byte, size),
		}
		if err := l.Snapshots().Save(context.Background(), snapshot); err != nil { // in parts that fit
			t.Fatalf("snapshot of %d bytes: %v", size, err)
		}
		if back, err := l.Snapshots().Load(context.Background(), id); err != nil || len(back.State) != size {
			t.Fatalf("snapshot of %d bytes comes back as %+v, %v", size, back, err)
		}
	}
	appendTo(t, l, stream("2"), store.Head{}, 1)
	if n := conn.Stats().Reconnects; n != 0 || !conn.IsConnected() {
		t.Fatalf("the connection was lost %d times", n)
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	s := startOwn(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "x"},
			{Username: "reader", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"*.evt.>"}},
			}},
		}
	})
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	full := open(t, &single, Config{Conn: connect(t, s, nats.UserInfo("all", "x"))})
	l := open(t, &single, Config{Namespace: full.cfg.Namespace, Conn: connect(t, s, nats.UserInfo("reader", "x"), quiet)})
	l.ackWait = 50 * time.Millisecond
	head := appendTo(t, full, stream("1"), store.Head{}, 1)
	for range 2 {
		_, err := l.Append(context.Background(), commitOf(stream("1"), head, 1))
		if !errors.Is(err, store.ErrRefused) || !errors.Is(err, nats.ErrPermissionViolation) {
			t.Fatalf("append that is forbidden: %v", err)
		}
	}
	if got, err := readAll(l, stream("1"), store.Head{}); err != nil || len(got) != 1 {
		t.Fatalf("read: %d commits, %v", len(got), err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	for _, servers := range []*fixture{&single, &cluster} {
		l := open(t, servers, Config{})
		head := appendTo(t, l, stream("1"), store.Head{}, 1)
		limit := func(n int64) {
			t.Helper()
			js := mustJetStream(t, l)
			s, err := js.Stream(context.Background(), l.names.order.name)
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			cfg.MaxMsgs = n
			if _, err := js.UpdateStream(context.Background(), cfg); err != nil {
				t.Fatal(err)
			}
		}
		limit(1)
		c := commitOf(stream("1"), head, 1)
		_, err := l.Append(context.Background(), c)
		if !errors.Is(err, store.ErrRefused) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
			t.Fatalf("append to a full log: %v", err)
		}
		limit(-1)
		if _, err := l.Append(context.Background(), c); err != nil {
			t.Fatalf("append when there is room again: %v", err)
		}
	}
}

// TestRefusedAfterLostAck fills the log behind a commit whose acknowledgement
// was lost: the refusal of the second try says nothing about the first.
func TestRefusedAfterLostAck(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	d := disturb(l)
	head := appendTo(t, l, stream("1"), store.Head{}, 1)
	tries := 0
	l.send = func(m *nats.Msg) error {
		if tries++; tries == 1 {
			d.LoseAck(1)
			return d.send(m)
		}
		return d.conn.Publish(m.Reply, []byte(`{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}`))
	}
	c := commitOf(stream("1"), head, 1)
	got, err := l.Append(context.Background(), c)
	if err != nil || got.Version != 2 {
		t.Fatalf("append: %+v, %v, but it was stored", got, err)
	}
}

// TestNobodyThere deletes the stream: the outcome of an append is unknown, and
// the error says that this call left nothing on its way.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	if err := mustJetStream(t, l).DeleteStream(context.Background(), l.names.order.name); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is gone", func() bool {
		_, err := l.cfg.Conn.Request(l.names.events+"0.a.b", nil, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	// Time may end while a publish is on its way, which is unknown and no more.
	eventually(t, "an append that left nothing on its way", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := l.Append(ctx, commitOf(stream("1"), store.Head{}, 1))
		if !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("append: %v", err)
		}
		return errors.Is(err, store.ErrUnavailable) && errors.Is(err, nats.ErrNoResponders)
	})
	if _, err := readAll(l, stream("1"), store.Head{}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("read: %v", err)
	}
}

func TestClosedConnection(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	head := appendTo(t, l, stream("1"), store.Head{}, 1)
	l.cfg.Conn.Close()
	_, err := l.Append(context.Background(), commitOf(stream("1"), head, 1))
	if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	if _, err := readAll(l, stream("1"), head); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if _, err := l.Tip(context.Background()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("tip: %v", err)
	}
	if _, err := l.Follow(context.Background(), store.Follow{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("follow: %v", err)
	}
	if _, err := l.Snapshots().Load(context.Background(), stream("1")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("load: %v", err)
	}
}

// TestConnectionLost cuts the connection again and again under appends. None
// fails, and each is stored once.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, several} {
		t.Run(fmt.Sprint(cfg.LogStreams), func(t *testing.T) {
			t.Parallel()
			connectionLost(t, cfg)
		})
	}
}

func connectionLost(t *testing.T, cfg Config) {
	t.Helper()
	s := single.use(t)[0]
	l := open(t, &single, cfg)
	l.ackWait = 200 * time.Millisecond
	const writers, commits, cuts = 4, 150, 5
	var done, started sync.WaitGroup
	heads := make([]store.Head, writers)
	started.Add(writers)
	for w := range writers {
		done.Go(func() {
			for n := range commits {
				if n == 1 {
					started.Done()
				}
				head, err := l.Append(context.Background(), commitOf(stream(string(rune('a'+w))), heads[w], 1))
				if err != nil {
					t.Errorf("append %d of writer %d: %v", n, w, err)
					return
				}
				heads[w] = head
			}
		})
	}
	started.Wait()
	for range cuts {
		before := l.cfg.Conn.Stats().Reconnects
		if id, err := l.cfg.Conn.GetClientID(); err == nil {
			_ = s.DisconnectClientByID(id)
		}
		eventually(t, "reconnect", func() bool { return l.cfg.Conn.Stats().Reconnects > before && l.cfg.Conn.IsConnected() })
	}
	done.Wait()
	for w, head := range heads {
		got, err := readAll(l, stream(string(rune('a'+w))), store.Head{})
		if err != nil || len(got) != commits || got[commits-1].Head() != head {
			t.Errorf("writer %d: %d commits, %v, want %d", w, len(got), err, commits)
		}
	}
}

// TestSameIDOtherContent shows that a commit is known by its bytes: another one
// that carries its id by mistake is no repetition.
func TestSameIDOtherContent(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	c := commitOf(stream("1"), store.Head{}, 1)
	if _, err := l.Append(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	other := *c
	other.Events = []store.Event{{Type: "deposited", Schema: 1, Data: bytes.Repeat([]byte("8"), 1)}}
	if _, err := l.Append(context.Background(), &other); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("append: %v, want a conflict", err)
	}
}

// TestClosedLog closes a log under an append that nobody answers.
func TestClosedLog(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	d := disturb(l)
	d.DropPublish(storetest.Forever)
	began, done := make(chan struct{}), make(chan error, 1)
	d.Meanwhile(func() { close(began) })
	go func() {
		_, err := l.Append(context.Background(), commitOf(stream("1"), store.Head{}, 1))
		done <- err
	}()
	<-began
	feed, err := l.Follow(context.Background(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	wantLost(t, feed, func() {
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := <-done; !errors.Is(err, store.ErrUnknown) || !errors.Is(err, errClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := readAll(l, stream("1"), store.Head{}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if err := feed.Close(); err != nil {
		t.Errorf("close the feed: %v", err)
	}
}
