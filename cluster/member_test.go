package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cluster/embedded"
)

// crew is the nodes of one test, and who of them serves what.
type crew struct {
	t          *testing.T
	server     *embedded.Server
	partitions int
	duties     []string

	mu      sync.Mutex
	serving map[cluster.Slot]string
	faults  []string
}

func newCrew(t *testing.T, partitions int, duties ...string) *crew {
	t.Helper()
	s, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return &crew{t: t, server: s, partitions: partitions, duties: duties, serving: map[cluster.Slot]string{}}
}

// sailor is one node.
type sailor struct {
	crew *crew
	name string
	conn *nats.Conn
	*cluster.Cluster
	stop context.CancelFunc
	done chan error
}

func (s *sailor) Take(slot cluster.Slot, epoch uint64) error {
	s.crew.mu.Lock()
	defer s.crew.mu.Unlock()
	if other := s.crew.serving[slot]; other != "" {
		s.crew.faults = append(s.crew.faults, fmt.Sprintf("%s took %v from %s", s.name, slot, other))
	}
	s.crew.serving[slot] = s.name
	return nil
}

func (s *sailor) Release(_ context.Context, slot cluster.Slot) { s.gone(slot) }
func (s *sailor) Drop(slot cluster.Slot)                       { s.gone(slot) }
func (s *sailor) Passed(cluster.Slot, string)                  {}

func (s *sailor) gone(slot cluster.Slot) {
	s.crew.mu.Lock()
	defer s.crew.mu.Unlock()
	if s.crew.serving[slot] == s.name {
		delete(s.crew.serving, slot)
	}
}

func (c *crew) join(name string) *sailor {
	c.t.Helper()
	conn, err := c.server.Connect(nats.MaxReconnects(-1))
	if err != nil {
		c.t.Fatal(err)
	}
	s := &sailor{crew: c, name: name, conn: conn, done: make(chan error, 1)}
	s.Cluster, err = cluster.New(cluster.Config{
		Conn: conn, Namespace: "crew", Partitions: c.partitions, Duties: c.duties, Node: cluster.Node{Name: name}, Handler: s,
		InMemory: true, Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- s.Run(ctx) }()
	c.t.Cleanup(func() { s.stop(); conn.Close() })
	select {
	case <-s.Ready():
	case err := <-s.done:
		c.t.Fatalf("%s did not join: %v", name, err)
	case <-time.After(20 * time.Second):
		c.t.Fatalf("%s did not join in time", name)
	}
	return s
}

// shares returns how many slots each node serves.
func (c *crew) shares() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := map[string]int{}
	for _, name := range c.serving {
		n[name]++
	}
	return n
}

func (c *crew) await(what string, cond func(map[string]int) bool) time.Duration {
	c.t.Helper()
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		if cond(c.shares()) {
			return time.Since(began)
		}
		<-time.After(5 * time.Millisecond)
	}
	c.t.Fatalf("%s: never; shares %v", what, c.shares())
	return 0
}

func TestNodesShareLeaveAndDie(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 128, "orders", "totals")
	a := c.join("A")
	c.await("A serves all", func(n map[string]int) bool { return n["A"] == 130 })
	b := c.join("B")
	t.Log("B joined:", c.await("B has its share", func(n map[string]int) bool { return n["B"] > 50 && n["A"]+n["B"] == 130 }))
	d := c.join("C")
	t.Log("C joined:", c.await("C has its share", func(n map[string]int) bool { return n["C"] > 35 && n["A"]+n["B"]+n["C"] == 130 }))
	b.stop()
	t.Log("B left:", c.await("B serves nothing", func(n map[string]int) bool { return n["B"] == 0 && n["A"]+n["C"] == 130 }))
	if err := <-b.done; err != nil {
		t.Fatal(err)
	}
	d.conn.Close() // its process is gone
	c.mu.Lock()
	for slot, name := range c.serving {
		if name == "C" {
			delete(c.serving, slot)
		}
	}
	c.mu.Unlock()
	t.Log("C died:", c.await("A serves all again", func(n map[string]int) bool { return n["A"] == 130 }))
	for _, f := range c.faults {
		t.Error(f)
	}
	_ = a
}
