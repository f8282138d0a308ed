package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// TestBothConflictCodes provokes the two codes that a replicated stream refuses
// a conditional publish with, and shows that the log reads them rightly.
func TestBothConflictCodes(t *testing.T) {
	t.Parallel()
	l := open(t, &cluster, Config{})
	servers := cluster.use(t)
	seen := map[int]bool{}
	subject := l.names.subject(stream("1"), "1")
	var mu sync.Mutex
	last := uint64(0)
	publish := func(conn *nats.Conn, expected uint64) {
		m := newMsg(subject, []byte("x"))
		m.Header.Set(expectedLastSubject, fmt.Sprint(expected))
		reply, err := conn.RequestMsg(m, patience)
		if err != nil {
			return
		}
		got := readAnswer(reply)
		mu.Lock()
		defer mu.Unlock()
		var api *apiError
		if errors.As(got.reason, &api) {
			seen[api.ErrCode] = true
			if (api.ErrCode == codeWriteInProgress) != (got.verdict == busy) || (api.ErrCode == codeWrongLastSequence) != (got.verdict == moved) {
				t.Errorf("%v is taken for %d", api, got.verdict)
			}
		}
		if got.verdict == stored {
			last = max(last, got.sequence)
		}
	}
	var conns []*nats.Conn
	for i := range 8 {
		conns = append(conns, connect(t, servers[i%len(servers)]))
	}
	deadline := time.Now().Add(patience)
	for (!seen[codeWrongLastSequence] || !seen[codeWriteInProgress]) && time.Now().Before(deadline) {
		var wg sync.WaitGroup
		expected := last
		for _, conn := range conns {
			wg.Go(func() { publish(conn, expected) })
		}
		wg.Wait()
	}
	if !seen[codeWrongLastSequence] || !seen[codeWriteInProgress] {
		t.Fatalf("only %v came", seen)
	}
}

// TestLeaderStepsDown has the stream's leader step down again and again while
// several append to several streams, two to each. Nothing that was acknowledged
// is lost or stored twice, and nothing ends unknown.
func TestLeaderStepsDown(t *testing.T) {
	t.Parallel()
	servers := cluster.use(t)
	l := open(t, &cluster, Config{})
	rival := open(t, &cluster, Config{Namespace: l.cfg.Namespace, Conn: connect(t, servers[1])})
	l.ackWait, rival.ackWait = 500*time.Millisecond, 500*time.Millisecond
	const streams, stepDowns = 3, 3
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	followed := make(chan []*store.Commit, 1)
	var reached atomic.Uint64
	followCtx, unfollow := context.WithCancel(ctx)
	defer unfollow()
	go func() { followed <- followUntil(followCtx, l, &reached, func(err error) { t.Error(err) }) }()
	acked := make([]sync.Map, streams) // commit id by version
	for s := range streams {
		for _, log := range []*Log{l, rival} {
			wg.Go(func() {
				if err := appendUntil(ctx, stop, log, stream(fmt.Sprint(s)), &acked[s]); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for range stepDowns {
		before := count(acked)
		mustStepDown(t, l, &l.names.order)
		eventually(t, "appends go on", func() bool { return count(acked) > before+50 })
	}
	close(stop)
	wg.Wait()
	tip, err := l.Tip(ctx)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the feed is at the end", func() bool { return reached.Load() >= tip.Sequence() })
	unfollow()
	wantFollowed(t, <-followed, tip)
	for s := range streams {
		commits, err := readAll(l, stream(fmt.Sprint(s)), store.Head{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range commits {
			if id, ok := acked[s].Load(c.Head().Version); ok && id == c.ID {
				n++
			}
		}
		if want := size(&acked[s]); n != want || len(commits) != want {
			t.Errorf("stream %d: %d of %d acknowledged commits are among its %d", s, n, want, len(commits))
		}
	}
}

// followUntil follows the log until ctx ends, again from where it came to when
// the feed is lost.
func followUntil(ctx context.Context, l *Log, reached *atomic.Uint64, fail func(error)) (got []*store.Commit) {
	after := store.Position(0)
	for ctx.Err() == nil {
		feed, err := l.Follow(ctx, store.Follow{Name: "live", After: after})
		for err == nil {
			var commits []*store.Commit
			if commits, err = feed.Next(ctx, 100); err == nil {
				got = append(got, commits...)
				after = commits[len(commits)-1].Last()
				reached.Store(after.Sequence())
			}
		}
		if !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
			fail(err)
			return got
		}
		if feed != nil {
			_ = feed.Close()
		}
	}
	return got
}

// wantFollowed checks that a follower has each commit up to the tip once.
func wantFollowed(t *testing.T, got []*store.Commit, tip store.Position) {
	t.Helper()
	last := uint64(0)
	for _, c := range got {
		if c.Sequence != last+1 {
			t.Fatalf("commit %d came after commit %d", c.Sequence, last)
		}
		last = c.Sequence
	}
	if last != tip.Sequence() {
		t.Errorf("the feed ends at %d, the log at %d", last, tip.Sequence())
	}
}

// appendUntil appends commits of one event, each after whatever the stream ends
// with, and notes what was acknowledged.
func appendUntil(ctx context.Context, stop <-chan struct{}, l *Log, id store.StreamID, acked *sync.Map) error {
	var head store.Head
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		c := commitOf(id, head, 1)
		next, err := l.Append(ctx, c)
		if errors.Is(err, store.ErrConflict) {
			commits, err := readAll(l, id, head)
			if err != nil && !errors.Is(err, store.ErrAhead) {
				return err
			}
			if len(commits) > 0 {
				head = commits[len(commits)-1].Head()
			}
			continue
		}
		if err != nil {
			return err
		}
		head = next
		if _, twice := acked.LoadOrStore(next.Version, c.ID); twice {
			return fmt.Errorf("version %d of %s was acknowledged twice", next.Version, id)
		}
	}
}

// mustStepDown has a stream's leader step down, as soon as it has one.
func mustStepDown(t *testing.T, l *Log, k *kept) {
	t.Helper()
	eventually(t, "step down "+k.name, func() bool { return l.stepDown(t.Context(), k, "") == nil })
}

func count(maps []sync.Map) (n int) {
	for i := range maps {
		n += size(&maps[i])
	}
	return n
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool {
		n++
		return true
	})
	return n
}
