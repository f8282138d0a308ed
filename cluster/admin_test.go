package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/cluster"
)

func (c *crew) admin() *cluster.Admin {
	c.t.Helper()
	a, err := cluster.OpenAdmin(c.t.Context(), cluster.AdminConfig{Conn: c.connect(), Namespace: "crew"})
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func TestAdminNeedsACluster(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 4)
	_, err := cluster.OpenAdmin(t.Context(), cluster.AdminConfig{Conn: c.connect(), Namespace: "crew"})
	if !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("error %v, want ErrNoCluster", err)
	}
}

func TestAdminDrainsAndTakesItBack(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 16, "orders")
	c.join("A")
	c.join("B")
	c.await("both serve", func(n map[string]int) bool { return n["A"] > 0 && n["B"] > 0 && n["A"]+n["B"] == 17 })
	a := c.admin()
	if err := a.Cordon(t.Context(), "C"); !errors.Is(err, cluster.ErrNoNode) {
		t.Errorf("cordon of a stranger: %v, want ErrNoNode", err)
	}
	if err := a.Cordon(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	c.await("A is empty", func(n map[string]int) bool { return n["A"] == 0 && n["B"] == 17 })
	nodes, err := a.Nodes(t.Context())
	if err != nil || len(nodes) != 2 {
		t.Fatalf("nodes %v, %v", nodes, err)
	}
	if got := nodes[0]; !got.Cordoned || got.Partitions != 0 || got.Wanted != 0 || len(got.Duties) != 0 {
		t.Errorf("drained node shows as %+v", got)
	}
	if got := nodes[1]; got.Cordoned || got.Partitions != 16 || got.Wanted != 16 || len(got.Duties) != 1 {
		t.Errorf("the other node shows as %+v", got)
	}
	if err := a.Uncordon(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	c.await("A serves again", func(n map[string]int) bool { return n["A"] > 0 && n["A"]+n["B"] == 17 })
	c.check()
}

// A directory that was not read in time is not taken for an empty one, and nothing was changed by who could not read it.
func TestAdminHearsThatNothingWasRead(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 4)
	c.join("A")
	a := c.admin()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if nodes, err := a.Nodes(late); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("nodes %v, %v", nodes, err)
	}
	if moves, err := a.Rebalance(late, false); !errors.Is(err, cluster.ErrUnavailable) || moves != nil {
		t.Errorf("moves %v, %v", moves, err)
	}
	if moves, err := a.Rebalance(t.Context(), false); err != nil || moves == nil {
		t.Errorf("moves %v, %v", moves, err)
	}
}

func TestAdminMovesAndRebalances(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 16)
	c.join("A")
	c.join("B")
	a := c.admin()
	c.await("each serves what it should", func(n map[string]int) bool {
		nodes, err := a.Nodes(t.Context())
		return err == nil && len(nodes) == 2 && n["A"] == nodes[0].Wanted && n["B"] == nodes[1].Wanted && n["A"]+n["B"] == 16
	})
	before, err := a.Partitions(t.Context())
	if err != nil || len(before) != 16 {
		t.Fatalf("partitions %v, %v", before, err)
	}
	from := before[3].Node
	to := map[string]string{"A": "B", "B": "A"}[from]
	for name, err := range map[string]error{
		"to a stranger":     a.Move(t.Context(), 3, "C"),
		"of what is not":    a.Move(t.Context(), 16, to),
		"of a negative one": a.Move(t.Context(), -1, to),
	} {
		if !errors.Is(err, cluster.ErrNoNode) && !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("move %s: %v", name, err)
		}
	}
	if err := a.Move(t.Context(), 3, to); err != nil {
		t.Fatal(err)
	}
	c.await("partition 3 moved", func(map[string]int) bool { return c.server3() == to })
	plan, err := a.Rebalance(t.Context(), true)
	if err != nil || len(plan) != 1 || plan[0] != (cluster.Move{Partition: 3, From: to, To: from}) {
		t.Errorf("dry run %v, %v; want partition 3 back to %s", plan, err, from)
	}
	if c.server3() != to {
		t.Error("the dry run moved something")
	}
	if _, err := a.Rebalance(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c.await("partition 3 is back", func(map[string]int) bool { return c.server3() == from })
	after, err := a.Partitions(t.Context())
	if err != nil || after[3].Epoch <= before[3].Epoch || after[3].Pinned || after[3].Orphaned {
		t.Errorf("partition 3 is %+v, %v; was %+v", after[3], err, before[3])
	}
	c.check()
}

// server3 returns who serves partition 3.
func (c *crew) server3() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serving[cluster.Slot{Partition: 3}]
}
