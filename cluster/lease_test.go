package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// idle is a handler that has nothing to do.
type idle struct{}

func (idle) Take(Slot, uint64) error       { return nil }
func (idle) Release(context.Context, Slot) {}
func (idle) Passed(Slot, string)           {}
func (idle) Drop(Slot)                     {}

// rig is nodes on one fake store, in the fake time of a synctest bubble.
type rig struct {
	t     *testing.T
	store *fakeStore
	nodes []*rigNode
}

type rigNode struct {
	*Cluster
	bucket *fakeBucket
	stop   context.CancelFunc
	done   chan error
}

const rigPartitions = 8

func newRig(t *testing.T, seed uint64, names ...string) *rig {
	t.Helper()
	r := &rig{t: t, store: newFakeStore(seed)}
	for _, name := range names {
		r.join(name)
	}
	return r
}

func (r *rig) join(name string) *rigNode {
	r.t.Helper()
	b := &fakeBucket{store: r.store}
	config := Config{
		Namespace: "rig", Partitions: rigPartitions, Node: Node{Name: name}, Handler: idle{}, Logger: slog.New(slog.DiscardHandler),
	}.withDefaults()
	if err := config.validate(); err != nil {
		r.t.Fatal(err)
	}
	c, err := newCluster(config, b)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &rigNode{Cluster: c, bucket: b, stop: stop, done: make(chan error, 1)}
	go func() { n.done <- c.Run(ctx) }()
	<-c.Ready()
	r.nodes = append(r.nodes, n)
	return n
}

func (r *rig) stopAll() {
	for _, n := range r.nodes {
		n.bucket.set(func(b *fakeBucket) { b.cut, b.lossy, b.slow, b.lag = false, 0, 0, 0 })
		n.stop()
	}
	for _, n := range r.nodes {
		if err := <-n.done; err != nil {
			r.t.Error(err)
		}
	}
}

// holders returns who may answer for a partition from memory at this moment.
func (r *rig) holders(partition int) (names []string) {
	for _, n := range r.nodes {
		if _, valid := n.Epoch(partition); valid {
			names = append(names, n.config.Node.Name)
		}
	}
	return names
}

// served returns how many partitions somebody serves.
func (r *rig) served() (n int) {
	for p := range rigPartitions {
		if len(r.holders(p)) == 1 {
			n++
		}
	}
	return n
}

// watch looks at every partition for so long, and fails if two nodes may
// answer for one at the same time.
func (r *rig) watch(d time.Duration) {
	r.t.Helper()
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		for p := range rigPartitions {
			if h := r.holders(p); len(h) > 1 {
				r.t.Fatalf("partition %d is served by %v at the same time", p, h)
			}
		}
	}
}

// until waits until every partition is served, and returns how long it took.
func (r *rig) until(what string, most time.Duration, cond func() bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for !cond() {
		if time.Since(began) > most {
			r.t.Fatalf("%s: not within %v", what, most)
		}
		r.watch(2 * time.Millisecond)
	}
	return time.Since(began)
}

func (r *rig) allServed() bool { return r.served() == rigPartitions }

func TestALeaseEndsBeforeAnotherBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(*rig, *rigNode)
		most  time.Duration // until all is served again
	}{
		"the process dies": {func(r *rig, n *rigNode) {
			session, _ := n.Session()
			n.bucket.set(func(b *fakeBucket) { b.cut = true })
			r.store.disconnect(session)
		}, 2500 * time.Millisecond},
		"it is cut off, and seems to run": {func(_ *rig, n *rigNode) {
			n.bucket.set(func(b *fakeBucket) { b.cut = true })
		}, 18 * time.Second},
		"it seems to be dead, and lives": {func(r *rig, n *rigNode) {
			session, _ := n.Session()
			r.store.disconnect(session)
		}, 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1, "A", "B", "C")
				r.until("start", 5*time.Second, r.allServed)
				r.watch(2 * time.Second)
				victim := r.nodes[1]
				session, _ := victim.Session()
				c.fault(r, victim)
				moved := func() bool {
					now, valid := victim.Session()
					return r.allServed() && (!valid || now != session)
				}
				t.Logf("served again after %v", r.until("take over", c.most, moved))
				r.watch(5 * time.Second)
				r.stopAll()
			})
		})
	}
}

func TestTheLastNodeLeavesNothingToWaitFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "A")
		r.until("start", 5*time.Second, r.allServed)
		r.stopAll()
		r.nodes = nil
		began := time.Now()
		r.join("B")
		r.until("B serves all", time.Second, r.allServed)
		if took := time.Since(began); took > time.Second {
			t.Errorf("B had to wait %v for what nobody held", took)
		}
		r.stopAll()
	})
}

func TestARenewalWhoseAnswerIsLostCountsAsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "A")
		r.until("start", 5*time.Second, r.allServed)
		session, _ := r.nodes[0].Session()
		r.nodes[0].bucket.set(func(b *fakeBucket) { b.lossy = 1 })
		r.until("the lease lapses", 2*time.Second, func() bool { return r.served() == 0 })
		r.nodes[0].bucket.set(func(b *fakeBucket) { b.lossy = 0 })
		r.until("it is valid again", 2*time.Second, r.allServed)
		if now, _ := r.nodes[0].Session(); now != session {
			t.Error("the session was given up though nobody had ended it")
		}
		r.stopAll()
	})
}

// TestNobodyCanRenewForAWhile is what nodes see while the servers elect a
// leader: answers from memory pause, and nothing is given up or moved.
func TestNobodyCanRenewForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "A", "B", "C")
		r.until("start", 5*time.Second, r.allServed)
		r.watch(2 * time.Second)
		owners, sessions := make([]string, rigPartitions), map[string]bool{}
		for p := range owners {
			owners[p], _ = r.nodes[0].Owner(p)
		}
		for _, n := range r.nodes {
			session, _ := n.Session()
			sessions[session] = true
			n.bucket.set(func(b *fakeBucket) { b.cut = true })
		}
		r.watch(9 * time.Second)
		if n := r.served(); n != 0 {
			t.Errorf("%d partitions are served from memory though no lease could be renewed", n)
		}
		for _, n := range r.nodes {
			n.bucket.set(func(b *fakeBucket) { b.cut = false })
		}
		r.until("all is served again", 3*time.Second, r.allServed)
		for p := range owners {
			if now, _ := r.nodes[0].Owner(p); now != owners[p] {
				t.Errorf("partition %d moved from %s to %s", p, owners[p], now)
			}
		}
		for _, n := range r.nodes {
			if session, _ := n.Session(); !sessions[session] {
				t.Errorf("node %s gave its session up", n.config.Node.Name)
			}
		}
		r.stopAll()
	})
}

func TestConfirmProvesThatNobodyElseServes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "A", "B")
		r.until("start", 5*time.Second, r.allServed)
		a := r.nodes[0]
		p := 0
		for ; p < rigPartitions; p++ {
			if _, here := a.Owner(p); here {
				break
			}
		}
		epoch, _ := a.Epoch(p)
		if err := a.Confirm(t.Context(), p, epoch); err != nil {
			t.Errorf("confirm: %v", err)
		}
		if err := a.Confirm(t.Context(), p, epoch+1); err == nil {
			t.Error("an epoch that is not held was confirmed")
		}
		a.bucket.set(func(b *fakeBucket) { b.cut = true })
		if _, valid := a.Epoch(p); !valid {
			t.Fatal("the lease should still be valid by the clock")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Confirm(ctx, p, epoch); err == nil {
			t.Error("a node that is cut off confirmed its lease")
		}
		r.stopAll()
	})
}

// TestNeverTwoOwners runs nodes through random faults: cuts, deaths that are
// none, lost answers, slow writes, replicas that are behind, restarts. Set
// ANNALS_SEED to replay one.
func TestNeverTwoOwners(t *testing.T) {
	t.Parallel()
	seeds := []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}
	if text := os.Getenv("ANNALS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { storm(t, seed) })
		})
	}
}

func storm(t *testing.T, seed uint64) {
	r := newRig(t, seed, "A", "B", "C", "D")
	rng := rand.New(rand.NewPCG(seed, 2))
	r.until("start", 5*time.Second, r.allServed)
	for range 40 {
		n := r.nodes[rng.IntN(len(r.nodes))]
		session, _ := n.Session()
		switch rng.IntN(6) {
		case 0:
			n.bucket.set(func(b *fakeBucket) { b.cut = true })
		case 1:
			n.bucket.set(func(b *fakeBucket) { b.cut = true })
			r.store.disconnect(session)
		case 2:
			r.store.disconnect(session)
		case 3:
			n.bucket.set(func(b *fakeBucket) { b.lossy = 0.3 })
		case 4:
			n.bucket.set(func(b *fakeBucket) { b.lag = 3 * time.Second })
		case 5:
			n.bucket.set(func(b *fakeBucket) { b.slow = 400 * time.Millisecond })
		}
		r.watch(time.Duration(rng.Int64N(int64(6 * time.Second))))
		if rng.IntN(2) == 0 {
			for _, n := range r.nodes {
				n.bucket.set(func(b *fakeBucket) { b.cut, b.lossy, b.lag, b.slow = false, 0, 0, 0 })
				if session, _ := n.Session(); session != "" && rng.IntN(4) > 0 {
					r.store.reconnect(session)
				}
			}
		}
	}
	for _, n := range r.nodes {
		n.bucket.set(func(b *fakeBucket) { b.cut, b.lossy, b.lag, b.slow = false, 0, 0, 0 })
		session, _ := n.Session()
		r.store.reconnect(session)
	}
	r.until("all is served after the last fault", 30*time.Second, r.allServed)
	r.stopAll()
}
