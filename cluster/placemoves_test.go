package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/annals-go/annals/cluster"
)

// Whatever nodes join and leave, in whatever order they are listed: everything is
// served by a node that is there, within the bounds, and what moves is about what
// has to.
func TestPlaceMovesLittleAndKeepsTheBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ partitions, changes int }{{128, 5}, {4096, 2}} {
		t.Run(fmt.Sprintf("%d partitions", c.partitions), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				weights := rapid.SampledFrom([]int{1, 2, 10, 1000}).Draw(t, "weights up to")
				var here []cluster.Candidate
				for i := range rapid.IntRange(1, 99).Draw(t, "nodes") {
					here = append(here, drawNode(t, fmt.Sprintf("first-%d", i), weights))
				}
				owners := checkedPlace(t, c.partitions, here)
				for i := range rapid.IntRange(1, c.changes).Draw(t, "changes") {
					before := here
					if len(here) == 1 || len(here) < 100 && rapid.Bool().Draw(t, "join") {
						here = append(slices.Clone(here), drawNode(t, fmt.Sprintf("later-%d", i), weights))
						joined := checkedPlace(t, c.partitions, here)
						checkStep(t, before, here, owners, joined)
						owners = joined
						continue
					}
					gone := rapid.IntRange(0, len(here)-1).Draw(t, "leaves")
					here = slices.Delete(slices.Clone(here), gone, gone+1)
					left := checkedPlace(t, c.partitions, here)
					checkStep(t, here, before, left, owners)
					owners = left
				}
				again := cluster.Place(c.partitions, rapid.Permutation(here).Draw(t, "order"), nil)
				if diff := cmp.Diff(owners, again); diff != "" {
					t.Fatalf("another order of nodes gave another placement: %s", diff)
				}
			})
		})
	}
}

func drawNode(t *rapid.T, name string, weights int) cluster.Candidate {
	return cluster.Candidate{Name: name, Weight: rapid.IntRange(1, weights).Draw(t, "weight")}
}

// checkedPlace checks that nodes serve everything, within their bounds.
func checkedPlace(t *rapid.T, partitions int, nodes []cluster.Candidate) []string {
	owners := cluster.Place(partitions, nodes, nil)
	held := tally(owners)
	for name, bound := range fairBounds(partitions, nodes) {
		if held[name] > bound {
			t.Fatalf("%s has %d partitions, its bound is %d", name, held[name], bound)
		}
		delete(held, name)
	}
	if len(held) > 0 {
		t.Fatalf("owners that are no nodes: %v", held)
	}
	return owners
}

// checkStep compares two sets of nodes of which one has one node more. Read from
// few to many it is a join, the other way round a leave; the same partitions move.
//
// What has to move is the newcomer's part or, if that is more, what other nodes
// have above the bounds that hold with it. Twice that and 8 more is what a step
// may move: of 300,000 random ones the worst moved twice that and 5. And as long
// as no node is full, nothing moves but what the newcomer gets.
func checkStep(t *rapid.T, few, many []cluster.Candidate, owners, grown []string) {
	newcomer := many[slices.IndexFunc(many, func(c cluster.Candidate) bool { return !slices.Contains(few, c) })].Name
	moved, elsewhere := 0, 0
	for partition, name := range owners {
		if grown[partition] != name {
			moved++
			if grown[partition] != newcomer {
				elsewhere++
			}
		}
	}
	needed := max(tally(grown)[newcomer], excess(owners, few, many))
	if moved > 2*needed+8 {
		t.Fatalf("%d partitions moved where %d had to", moved, needed)
	}
	if elsewhere > 0 && !anyFull(owners, few) && !anyFull(grown, many) {
		t.Fatalf("%d partitions moved between others although no node was full", elsewhere)
	}
}

func excess(owners []string, few, many []cluster.Candidate) int {
	held, bounds, total := tally(owners), fairBounds(len(owners), many), 0
	for _, n := range few {
		total += max(0, held[n.Name]-bounds[n.Name])
	}
	return total
}

func anyFull(owners []string, nodes []cluster.Candidate) bool {
	held := tally(owners)
	for name, bound := range fairBounds(len(owners), nodes) {
		if held[name] == bound {
			return true
		}
	}
	return false
}

// fairBounds is the specification's bound: 1.15 times the share by weight,
// rounded up.
func fairBounds(partitions int, nodes []cluster.Candidate) map[string]int {
	total := 0
	for _, n := range nodes {
		total += max(n.Weight, 1)
	}
	bounds := map[string]int{}
	for _, n := range nodes {
		bounds[n.Name] = (115*partitions*max(n.Weight, 1) + 100*total - 1) / (100 * total)
	}
	return bounds
}

// On average a join moves little more than the newcomer's share. The means with
// 128 partitions contain the joins at which the bound falls by a whole partition
// for all nodes at once, such as from 3 to 2 when the 74th node joins: then many
// have one too many. The measured means stand beside the limits.
func TestPlaceMovesAboutTheShareOfWhoJoins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		partitions, from, to, runs int
		limit                      float64
	}{
		{128, 2, 10, 50, 1.1},   // 1.03
		{128, 2, 30, 20, 1.3},   // 1.21
		{128, 2, 100, 5, 1.5},   // 1.32, and 1.38 over 200 runs
		{4096, 2, 10, 2, 1.05},  // 1.01
		{4096, 20, 25, 1, 1.1},  // 0.98
		{4096, 96, 100, 1, 1.3}, // 1.07
	} {
		t.Run(fmt.Sprintf("%d partitions, %d to %d nodes", c.partitions, c.from, c.to), func(t *testing.T) {
			t.Parallel()
			total, steps := 0.0, 0
			for run := range c.runs {
				nodes := joiners(run, c.to)
				before := cluster.Place(c.partitions, nodes[:c.from-1], nil)
				for n := c.from; n <= c.to; n++ {
					after := cluster.Place(c.partitions, nodes[:n], nil)
					total += float64(moves(before, after)) * float64(n) / float64(c.partitions)
					steps++
					before = after
				}
			}
			if mean := total / float64(steps); mean > c.limit {
				t.Errorf("a join moves %.3f times the newcomer's share on average, want at most %.2f", mean, c.limit)
			} else {
				t.Logf("a join moves %.3f times the newcomer's share on average", mean)
			}
		})
	}
}

func TestPlaceDutiesSpreadsEvenlyAndMovesLittle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := dutyNames(rapid.IntRange(1, 30).Draw(t, "duties"))
		nodes := joiners(rapid.IntRange(0, 1000).Draw(t, "seed"), rapid.IntRange(1, 20).Draw(t, "nodes"))
		runners := cluster.PlaceDuties(names, nodes)
		held := tally(slices.Collect(maps.Values(runners)))
		for _, n := range nodes {
			if held[n.Name] < len(names)/len(nodes) || held[n.Name] > (len(names)+len(nodes)-1)/len(nodes) {
				t.Fatalf("%s has %d of %d duties among %d nodes", n.Name, held[n.Name], len(names), len(nodes))
			}
		}
		shuffled := cluster.PlaceDuties(rapid.Permutation(names).Draw(t, "order"), rapid.Permutation(nodes).Draw(t, "nodes"))
		if diff := cmp.Diff(runners, shuffled); diff != "" {
			t.Fatalf("another order gave another placement: %s", diff)
		}
	})
}

// joiners returns n nodes whose names no other run has.
func joiners(run, n int) []cluster.Candidate {
	nodes := make([]cluster.Candidate, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("node-%d-%d", run, i)
	}
	return nodes
}

func moves(before, after []string) int {
	moved := 0
	for partition, name := range before {
		if after[partition] != name {
			moved++
		}
	}
	return moved
}
