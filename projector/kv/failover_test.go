package kv_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// node is one of several groups that may run the view, with a connection of
// its own.
type node struct {
	*projector.Group
	projector.Assignment
	conn *nats.Conn
	log  *countingLog
}

// countingLog counts how often it is followed: each time is a take-over.
type countingLog struct {
	store.Log
	follows atomic.Int64
}

func (l *countingLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	l.follows.Add(1)
	return l.Log.Follow(ctx, f)
}

// network is where nodes connect to.
type network interface {
	Connect(...nats.Option) (*nats.Conn, error)
}

// newNode starts a group; through, if not nil, stands between it and its store.
func newNode(t *testing.T, to network, replicas int, through func(projector.Store) projector.Store) *node {
	t.Helper()
	n := &node{conn: connect(t, to, silent)}
	n.log = &countingLog{Log: openReplicated(t, n.conn, replicas)}
	var kept projector.Store = kv.New(kv.Config{Conn: n.conn, Namespace: "app", Replicas: replicas})
	if through != nil {
		kept = through(kept)
	}
	n.Group = newGroup(t, projector.Config{
		Log: n.log, Store: kept, Projections: []projector.Definition{viewBy("tallies", byEmployee)}, Logger: quiet,
		Assigned: n.Assigned, Reassigned: n.Reassigned,
	})
	runUntilEnd(t, n.Group)
	return n
}

func openReplicated(t *testing.T, conn *nats.Conn, replicas int) *jetstream.Log {
	t.Helper()
	log, err := jetstream.Open(context.Background(), jetstream.Config{Conn: conn, Namespace: "app", Replicas: replicas, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// load appends until it is told to stop, and returns then.
func load(t *testing.T, log store.Log) (stop func()) {
	t.Helper()
	told, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(5 * time.Millisecond) // some processor is left to the others
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-told:
				return
			case <-pace.C:
			}
			if err := appendStream(log, fmt.Sprintf("l-%d", i), i, 1+i%3); err != nil {
				t.Errorf("append: %v", err)
				return
			}
		}
	}()
	return func() {
		close(told)
		<-ended
	}
}

// caughtUp waits until the node's view has all that is in the log now.
func (n *node) caughtUp(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tip, err := n.log.Tip(ctx)
	for errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil {
		tip, err = n.log.Tip(ctx)
	}
	if err == nil {
		err = n.Wait(ctx, "tallies", tip)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The view moves to and fro between two nodes of a cluster, twenty times, while
// the log grows: handed over in turn, or with the heir beginning before the
// other has been told. In the end it is a plain fold of the log.
func TestFailOverOnThreeServers(t *testing.T) {
	t.Parallel()
	cluster := startThree(t)
	nodes := []*node{newNode(t, cluster, 3, nil), newNode(t, cluster, 3, nil)}
	stop := load(t, openReplicated(t, connect(t, cluster), 3))
	nodes[0].Assign("tallies")
	nodes[0].caughtUp(t)
	var handed, taken []time.Duration
	for flip := range 20 {
		from, to := nodes[flip%2], nodes[(flip+1)%2]
		began := time.Now()
		if flip%4 < 2 {
			from.Withdraw("tallies")
			if err := from.Stopped(t.Context(), "tallies"); err != nil {
				t.Fatal(err)
			}
			to.Assign("tallies")
			to.caughtUp(t)
			handed = append(handed, time.Since(began))
		} else {
			to.Assign("tallies")
			to.caughtUp(t)
			taken = append(taken, time.Since(began))
			from.Withdraw("tallies")
		}
		if err := from.Wait(t.Context(), "tallies", 1); !errors.Is(err, projector.ErrElsewhere) {
			t.Errorf("flip %d: the node that lost the view says %v", flip, err)
		}
	}
	stop()
	for _, n := range nodes {
		n.Withdraw("tallies")
		if err := n.Stopped(t.Context(), "tallies"); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(handed)
	slices.Sort(taken)
	t.Logf("up to date again after a hand-over: median %v, longest %v; after a take-over: median %v, longest %v; followed %d times",
		handed[len(handed)/2], handed[len(handed)-1], taken[len(taken)/2], taken[len(taken)-1], nodes[0].log.follows.Load()+nodes[1].log.follows.Load())
	foldsAll(t, nodes[0].log.Log, kv.New(kv.Config{Conn: nodes[0].conn, Namespace: "app", Replicas: 3}), viewBy("tallies", byEmployee))
}

// hesitant is a store whose first commit hangs until it is released, and is
// then carried out however late that is.
type hesitant struct {
	projector.Store
	hanging, released chan struct{}
	fenced            atomic.Int64
}

type hesitantView struct {
	projector.View
	store *hesitant
}

func (s *hesitant) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return hesitantView{v, s}, err
}

func (v hesitantView) Commit(_ context.Context, w projector.Write) (projector.Checkpoint, error) {
	select {
	case <-v.store.hanging:
	default:
		close(v.store.hanging)
		<-v.store.released
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := v.View.Commit(ctx, w)
	if errors.Is(err, projector.ErrFenced) {
		v.store.fenced.Add(1)
	}
	return c, err
}

// A writer that hangs in a commit is taken over; its late commit is refused by
// the server. If the view is still its own, it and its heir take the view from
// each other, ever more seldom; else it stops.
func TestAZombieAwakes(t *testing.T) {
	t.Parallel()
	for name, still := range map[string]bool{"still assigned": true, "not assigned any more": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			held := &hesitant{hanging: make(chan struct{}), released: make(chan struct{})}
			old := newNode(t, server, 1, func(s projector.Store) projector.Store {
				held.Store = s
				return held
			})
			heir := newNode(t, server, 1, nil)
			if err := appendStream(old.log, "first", 1, 5); err != nil {
				t.Fatal(err)
			}
			old.Assign("tallies")
			<-held.hanging
			heir.Assign("tallies")
			if err := appendStream(old.log, "second", 1, 5); err != nil {
				t.Fatal(err)
			}
			heir.caughtUp(t)
			if !still {
				old.Withdraw("tallies")
			}
			began := time.Now()
			before := old.log.follows.Load() + heir.log.follows.Load()
			close(held.released)
			if still {
				fight(t, []*node{old, heir}, before+12, began)
			} else if err := old.Stopped(t.Context(), "tallies"); err != nil || old.log.follows.Load() != 1 {
				t.Errorf("the end: %v, having followed %d times", err, old.log.follows.Load())
			}
			if held.fenced.Load() == 0 {
				t.Error("the late commit was not refused")
			}
			for _, n := range []*node{old, heir} {
				n.Withdraw("tallies")
				if err := n.Stopped(t.Context(), "tallies"); err != nil {
					t.Fatal(err)
				}
			}
			foldsAll(t, heir.log.Log, kv.New(kv.Config{Conn: heir.conn, Namespace: "app"}), viewBy("tallies", byEmployee))
		})
	}
}

// fight appends until the nodes have taken the view over so many times, and
// checks how long that took. The one of them that did so 6 times or more paused
// before each, at least 25 ms, and then twice as long each time.
func fight(t *testing.T, nodes []*node, most int64, began time.Time) {
	t.Helper()
	const least = (25 + 50 + 100 + 200 + 400) * time.Millisecond
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for i := 0; nodes[0].log.follows.Load()+nodes[1].log.follows.Load() < most; i++ {
		<-pace.C
		if time.Since(began) > time.Minute {
			t.Fatal("they do not go on")
		}
		if err := appendStream(nodes[0].log, fmt.Sprintf("f-%d", i), i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < least {
		t.Errorf("12 take-overs in %v, want them to take at least %v", took, least)
	}
}

// leaderOf returns which server leads the last of the streams, once all of them
// have everything: another one that stopped before would leave no majority.
func leaderOf(t *testing.T, cluster *embedded.Cluster, conn *nats.Conn, streams ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cluster.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	leader := ""
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for _, stream := range streams {
		leader = ""
		for ; leader == "" && ctx.Err() == nil; <-again.C {
			leader = wholeStream(ctx, conn, stream)
		}
	}
	for i := range cluster.Len() {
		if strings.HasSuffix(leader, fmt.Sprintf("-%d", i+1)) {
			return i
		}
	}
	t.Fatalf("nobody leads the bucket: %q", leader)
	return 0
}

// wholeStream returns who leads the stream, "" while a server is behind.
func wholeStream(ctx context.Context, conn *nats.Conn, stream string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	js, err := natsjs.New(conn)
	if err != nil {
		return ""
	}
	s, err := js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return ""
	}
	c := s.CachedInfo().Cluster
	for _, replica := range c.Replicas {
		if replica.Offline || !replica.Current {
			return ""
		}
	}
	return c.Leader
}

// The server that leads the view's bucket is stopped while the view follows a
// growing log, each server in its turn. The view goes on by itself.
func TestTheLeaderOfABucketStops(t *testing.T) {
	t.Parallel()
	cluster := startThree(t)
	n := newNode(t, cluster, 3, nil)
	stop := load(t, openReplicated(t, connect(t, cluster), 3))
	n.Assign("tallies")
	n.caughtUp(t)
	for round := range 3 {
		leader := leaderOf(t, cluster, n.conn, "ANNALS_app_events", "KV_ANNALS_app_view_tallies_v1")
		before, began := n.Status(t.Context())[0], time.Now()
		cluster.Stop(leader)
		if err := appendStream(n.log, fmt.Sprintf("after-%d", round), round, 1); err != nil {
			t.Fatal(err)
		}
		appended := time.Since(began)
		n.caughtUp(t)
		after := n.Status(t.Context())[0]
		t.Logf("server %d stopped: the log takes events again after %v, the view has them after %v", leader+1, appended, time.Since(began))
		if after.Checkpoint <= before.Checkpoint {
			t.Errorf("status is %+v, before it was %+v", after, before)
		}
		if err := cluster.Start(leader); err != nil {
			t.Fatal(err)
		}
	}
	leaderOf(t, cluster, n.conn, "ANNALS_app_events", "KV_ANNALS_app_view_tallies_v1")
	stop()
	n.Withdraw("tallies")
	if err := n.Stopped(t.Context(), "tallies"); err != nil {
		t.Fatal(err)
	}
	foldsAll(t, n.log.Log, kv.New(kv.Config{Conn: n.conn, Namespace: "app", Replicas: 3}), viewBy("tallies", byEmployee))
}
