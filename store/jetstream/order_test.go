package jetstream

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// ownCluster is three servers that the test may stop and start.
type ownCluster struct {
	options []*server.Options
	servers []*server.Server
}

func startOwnCluster(t *testing.T) *ownCluster {
	t.Helper()
	c, dir := &ownCluster{}, t.TempDir() // removed when the servers have stopped
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	var err error
	if c.options, err = clusterOptions(dir); err != nil {
		t.Fatal(err)
	}
	for i := range c.options {
		c.servers = append(c.servers, nil)
		c.start(t, i)
	}
	eventually(t, "the cluster is there", func() bool { return isCluster(c.servers) })
	return c
}

func (c *ownCluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Fatal(err)
	}
	c.servers[i] = s
	s.Start()
}

func (c *ownCluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// connect opens a connection that goes to another server when its own stops.
func (c *ownCluster) connect(t *testing.T) *nats.Conn {
	t.Helper()
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.ClientURL())
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// bookkeeper appends to streams of its own, and remembers all.
type bookkeeper struct {
	log    *Log
	name   string
	stored []*store.Commit
	count  atomic.Int64
}

func (b *bookkeeper) work(ctx context.Context, stop <-chan struct{}, streams int) error {
	heads := make([]store.Head, streams)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		i := n % streams
		c := commitOf(stream(fmt.Sprint(b.name, i)), heads[i], 1+n%3)
		head, err := b.log.Append(ctx, c)
		if err != nil {
			return fmt.Errorf("append %d of %s: %w", n, b.name, err)
		}
		heads[i] = head
		b.stored = append(b.stored, c)
		b.count.Add(1)
	}
}

// TestOrderHolds has four append to streams of all partitions while leaders of
// log streams and of the order step down, and a server that leads stops and
// comes back. Everybody is told where their commits are, and who follows gets
// them there: each once, those of each log stream in their order.
func TestOrderHolds(t *testing.T) {
	t.Parallel()
	const writers, streams = 4, 12
	c := startOwnCluster(t)
	cfg := several
	cfg.Replicas, cfg.Namespace = clusterLen, namespace(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	var keepers []*bookkeeper
	for w := range writers {
		cfg.Conn = c.connect(t)
		l := open(t, &cluster, cfg)
		l.ackWait = 200 * time.Millisecond
		keepers = append(keepers, &bookkeeper{log: l, name: fmt.Sprint("w", w, "-")})
	}
	l := keepers[0].log
	followed := make(chan []*store.Commit, 1)
	var reached atomic.Uint64
	followCtx, unfollow := context.WithCancel(ctx)
	defer unfollow()
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	go func() { followed <- followUntil(followCtx, l, &reached, fail) }()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, k := range keepers {
		wg.Go(func() {
			if err := k.work(ctx, stop, streams); err != nil {
				fail(err)
			}
		})
	}
	goOn := func() {
		t.Helper()
		before := make([]int64, writers)
		for i, k := range keepers {
			before[i] = k.count.Load()
		}
		for i, k := range keepers {
			eventually(t, "appends go on", func() bool { return failed.Load() != nil || k.count.Load() > before[i]+20 })
		}
		if err := failed.Load(); err != nil {
			if twice := sourcedTwice(t, l); twice != "" {
				t.Skipf("SKIPPED, NOT PASSED: the server sourced %s twice, and everybody noticed: %v", twice, *err)
			}
			t.Fatal(*err)
		}
	}
	goOn()
	for _, k := range l.names.all() {
		mustStepDown(t, l, &k)
		goOn()
	}
	leader := leaderOf(t, l, c)
	c.stop(leader)
	goOn()
	c.start(t, leader)
	goOn()
	close(stop)
	wg.Wait()

	var all []*store.Commit
	for _, k := range keepers {
		all = append(all, k.stored...)
	}
	slices.SortFunc(all, func(a, b *store.Commit) int { return int(a.Sequence) - int(b.Sequence) })
	tip, err := l.Tip(ctx)
	if err != nil || tip != all[len(all)-1].Last() {
		t.Errorf("tip %d, %v, want %d", tip, err, all[len(all)-1].Last())
	}
	eventually(t, "the feed is at the end", func() bool { return reached.Load() >= tip.Sequence() })
	unfollow()
	got := <-followed
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	wantFollowed(t, got, tip)
	wantSame(t, "what was followed", got, all)
	wantLocalOrder(t, l, got)

	cfg.Conn = c.connect(t)
	again := open(t, &cluster, cfg)
	again.order.warm = 0
	for _, k := range keepers {
		for i := range streams {
			id := stream(fmt.Sprint(k.name, i))
			got, err := readAll(again, id, store.Head{})
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, id.String(), got, ofStream(all, id))
		}
	}
	feed := mustFollow(t, again, store.Follow{After: all[len(all)/2].Last()})
	rest := take(t, feed, len(all)-len(all)/2-1)
	wantSame(t, "the second half", rest, all[len(all)/2+1:])
	if n := feed.Pending(); n != 0 {
		t.Errorf("%d are pending at the end", n)
	}
}

// sourcedTwice returns which message of a log stream the order has twice. The
// server was seen to do that once, on a machine with twenty threads for each core, when
// the order's leader stepped down. An order that has it is refused by all; it is
// no fault of the log that is tested.
func sourcedTwice(t *testing.T, l *Log) string {
	t.Helper()
	js, ctx := mustJetStream(t, l), t.Context()
	order, err := js.Stream(ctx, l.names.order.name)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for sequence := range order.CachedInfo().State.LastSeq {
		m, err := order.GetMsg(ctx, sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		name, local, err := readSource(m.Header.Get(sourceHeader))
		if err != nil {
			t.Fatal(err)
		}
		of := fmt.Sprintf("message %d of %s", local, name)
		if seen[of] {
			return of
		}
		seen[of] = true
	}
	return ""
}

// leaderOf returns which server leads the order.
func leaderOf(t *testing.T, l *Log, c *ownCluster) int {
	t.Helper()
	leader := ""
	eventually(t, "the order has a leader", func() bool {
		var err error
		leader, _, err = l.order.stall.sources(t.Context())
		return err == nil && leader != ""
	})
	return slices.IndexFunc(c.servers, func(s *server.Server) bool { return s.Name() == leader })
}

// wantLocalOrder checks that each log stream's commits follow each other
// without a gap.
func wantLocalOrder(t *testing.T, l *Log, got []*store.Commit) {
	t.Helper()
	last := map[int]uint64{}
	for _, c := range got {
		i := l.names.streamOf(c.Stream)
		if last[i]++; c.Local != last[i] {
			t.Fatalf("%d of log stream %d comes where %d is due", c.Local, i, last[i])
		}
	}
	if len(last) != len(l.names.streams) {
		t.Errorf("only %d log streams have commits", len(last))
	}
}

// TestOrderGoesOn restarts a server that stands alone.
func TestOrderGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := several
	cfg.Namespace = "restart"
	heads := map[string]store.Head{}
	var all []*store.Commit
	var after store.Position
	for round := range 3 {
		l, stop := openIn(t, dir, cfg)
		for i := range 8 {
			c := commitOf(stream(fmt.Sprint(i)), heads[fmt.Sprint(i)], 2)
			head, err := l.Append(t.Context(), c)
			if err != nil || c.Sequence != uint64(len(all))+1 {
				t.Fatalf("append in round %d: at %d, %v, want %d", round, c.Sequence, err, len(all)+1)
			}
			heads[fmt.Sprint(i)], all = head, append(all, c)
		}
		got := take(t, mustFollow(t, l, store.Follow{After: after}), 8)
		wantSame(t, fmt.Sprint("round ", round), got, all[8*round:])
		after = all[len(all)-1].Last()
		for i := range 8 {
			got, err := readAll(l, stream(fmt.Sprint(i)), store.Head{})
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, "read", got, ofStream(all, stream(fmt.Sprint(i))))
		}
		stop()
	}
}

// TestFlippedBitInOrder changes one byte of the file in which the server keeps
// the order.
func TestFlippedBitInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := several
	cfg.Namespace = "flip"
	l, stop := openIn(t, dir, cfg)
	for i := range 4 {
		appendTo(t, l, stream(fmt.Sprint(i)), store.Head{}, 1)
	}
	stop()
	flip(t, filepath.Join(dir, "jetstream", "$G", "streams", l.names.order.name, "msgs", "1.blk"), -60)
	l, stop = openIn(t, dir, cfg)
	defer stop()
	if commits, err := mustFollow(t, l, store.Follow{}).Next(t.Context(), 10); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("follow: %d commits, %v", len(commits), err)
	}
	eventually(t, "the reader notices", func() bool {
		l.order.begin()
		return l.order.broken() != nil
	})
	if _, err := l.Append(t.Context(), commitOf(stream("new"), store.Head{}, 1)); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, store.ErrDamaged) {
		t.Errorf("append: %v", err)
	}
}
