package cluster_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/cluster"
)

// FuzzPlace checks what holds for any weights, capacities and pins.
func FuzzPlace(f *testing.F) {
	f.Add(uint16(128), []byte("a\x01\x00b\x01\x00c\x02\x00"), []byte("\x00a\x05b\x07?"))
	f.Add(uint16(128), []byte("a\x01\x08b\x01\x00c\x01\x00d\x01\x00"), []byte{})
	f.Add(uint16(9), []byte("a\xff\x03b\x01\x03c\x00\x03"), []byte("\x00a\x01a\x02a\x03a\x04a"))
	f.Add(uint16(200), []byte("a\x01\x64b\x01\x63"), []byte{})
	f.Fuzz(func(t *testing.T, size uint16, nodeBytes, pinBytes []byte) {
		partitions := int(size % 5000)
		nodes := nodesOf(nodeBytes)
		pins := map[int]string{}
		for pair := range slices.Chunk(pinBytes, 2) {
			pins[int(pair[0])-1] = string(pair[1:])
		}
		owners := cluster.Place(partitions, nodes, pins)
		checkOwners(t, partitions, nodes, pins, owners)
		slices.Reverse(nodes)
		if diff := cmp.Diff(owners, cluster.Place(partitions, nodes, pins)); diff != "" {
			t.Fatalf("another order of nodes gave another placement: %s", diff)
		}
	})
}

// nodesOf reads three bytes a node: name, weight, capacity.
func nodesOf(data []byte) []cluster.Candidate {
	var nodes []cluster.Candidate
	seen := map[byte]bool{}
	for triple := range slices.Chunk(data, 3) {
		if len(triple) == 3 && !seen[triple[0]] {
			seen[triple[0]] = true
			nodes = append(nodes, cluster.Candidate{Name: string(triple[:1]), Weight: int(triple[1]), Capacity: int(triple[2])})
		}
	}
	return nodes
}

func checkOwners(t *testing.T, partitions int, nodes []cluster.Candidate, pins map[int]string, owners []string) {
	if len(owners) != partitions {
		t.Fatalf("%d owners for %d partitions", len(owners), partitions)
	}
	if len(nodes) == 0 {
		if got := tally(owners)[""]; got != partitions {
			t.Fatalf("%d of %d partitions belong to nobody without nodes", got, partitions)
		}
		return
	}
	limits, pinned := limitsOf(partitions, nodes), map[string]int{}
	for partition, name := range pins {
		if _, here := limits[name]; here && partition >= 0 && partition < partitions {
			pinned[name]++
			if owners[partition] != name {
				t.Fatalf("partition %d is pinned to %q and went to %q", partition, name, owners[partition])
			}
		}
	}
	for name, n := range tally(owners) {
		limit, here := limits[name]
		if !here {
			t.Fatalf("%q owns %d partitions and is no node", name, n)
		}
		if n > max(limit, pinned[name]) {
			t.Fatalf("%q has %d partitions, its limit is %d and %d are pinned", name, n, limit, pinned[name])
		}
	}
}

// limitsOf returns the most that each node may have by the specification: its
// bound and its capacity; only the capacity if both do not suffice, only the
// bound if the capacities do not.
func limitsOf(partitions int, nodes []cluster.Candidate) map[string]int {
	bounds, capacities, both := fairBounds(partitions, nodes), map[string]int{}, map[string]int{}
	capacity, seats := 0, 0
	for _, n := range nodes {
		capacities[n.Name] = partitions
		if n.Capacity > 0 {
			capacities[n.Name] = n.Capacity
		}
		both[n.Name] = min(bounds[n.Name], capacities[n.Name])
		capacity += capacities[n.Name]
		seats += both[n.Name]
	}
	switch {
	case capacity < partitions:
		return bounds
	case seats < partitions:
		return capacities
	default:
		return both
	}
}
