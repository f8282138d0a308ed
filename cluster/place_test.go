package cluster_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/cluster"
)

func TestPlaceSharesPartitionsByTheRules(t *testing.T) {
	t.Parallel()
	type span struct{ least, most int }
	for _, c := range []struct {
		rule       string
		partitions int
		nodes      []cluster.Candidate
		pins       map[int]string
		want       map[string]span // how many partitions each node gets
	}{
		{
			rule:       "one node serves everything",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a"}},
			want: map[string]span{"a": {128, 128}},
		},
		{
			rule:       "nobody gets more than 1.15 times its share, rounded up",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a"}, {Name: "b"}, {Name: "c"}},
			want: map[string]span{"a": {28, 50}, "b": {28, 50}, "c": {28, 50}},
		},
		{
			rule:       "shares follow weights",
			partitions: 4096, nodes: []cluster.Candidate{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 2}},
			want: map[string]span{"a": {900, 1178}, "b": {900, 1178}, "c": {1900, 2356}},
		},
		{
			rule:       "a weight below 1 is 1",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Weight: -5}, {Name: "b", Weight: 0}, {Name: "c", Weight: 1}},
			want: map[string]span{"a": {28, 50}, "b": {28, 50}, "c": {28, 50}},
		},
		{
			rule:       "no weight is so large that another node gets more than its bound",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Weight: math.MaxInt}, {Name: "b", Weight: 1}},
			want: map[string]span{"a": {127, 128}, "b": {0, 1}},
		},
		{
			rule:       "more nodes than partitions: nobody gets two",
			partitions: 2, nodes: []cluster.Candidate{{Name: "a"}, {Name: "b"}, {Name: "c"}},
			want: map[string]span{"a": {0, 1}, "b": {0, 1}, "c": {0, 1}},
		},
		{
			rule:       "capacity is a limit",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Capacity: 40}, {Name: "b"}, {Name: "c"}},
			want: map[string]span{"a": {28, 40}, "b": {38, 50}, "c": {38, 50}},
		},
		{
			rule:       "what a full node cannot take goes to the rest, past their bound of 37 if it must: 1.15 times a third of 120",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Capacity: 8}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
			want: map[string]span{"a": {8, 8}, "b": {28, 46}, "c": {28, 46}, "d": {28, 46}},
		},
		{
			rule:       "capacities that are just enough are used up",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Capacity: 100}, {Name: "b", Capacity: 28}},
			want: map[string]span{"a": {100, 100}, "b": {28, 28}},
		},
		{
			rule:       "capacities that are too small together are ignored",
			partitions: 128, nodes: []cluster.Candidate{{Name: "a", Capacity: 100}, {Name: "b", Capacity: 27}},
			want: map[string]span{"a": {54, 74}, "b": {54, 74}},
		},
		{
			rule:       "a pin goes before bound and capacity",
			partitions: 4, nodes: []cluster.Candidate{{Name: "a", Capacity: 1}, {Name: "b"}, {Name: "c"}},
			pins: map[int]string{0: "a", 1: "a", 2: "a"},
			want: map[string]span{"a": {3, 3}, "b": {0, 1}, "c": {0, 1}},
		},
		{
			rule:       "what is pinned counts: a node that is full by pins gets nothing else",
			partitions: 8, nodes: []cluster.Candidate{{Name: "a"}, {Name: "b"}},
			pins: map[int]string{0: "a", 1: "a", 2: "a", 3: "a", 4: "a"},
			want: map[string]span{"a": {5, 5}, "b": {3, 3}},
		},
		{
			rule:       "pins to strangers and of strange partitions say nothing",
			partitions: 2, nodes: []cluster.Candidate{{Name: "a"}},
			pins: map[int]string{0: "gone", -1: "a", 2: "a"},
			want: map[string]span{"a": {2, 2}},
		},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			owners := cluster.Place(c.partitions, c.nodes, c.pins)
			if len(owners) != c.partitions {
				t.Fatalf("%d owners for %d partitions", len(owners), c.partitions)
			}
			got := tally(owners)
			for name, want := range c.want {
				if got[name] < want.least || got[name] > want.most {
					t.Errorf("%s has %d partitions, want %d to %d", name, got[name], want.least, want.most)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("owners that are no nodes: %v", got)
			}
		})
	}
}

func TestPlaceObeysPins(t *testing.T) {
	t.Parallel()
	pins := map[int]string{3: "c", 5: "c", 7: "a"}
	owners := cluster.Place(8, candidates("a", "b", "c"), pins)
	for partition, name := range pins {
		if owners[partition] != name {
			t.Errorf("partition %d is pinned to %s and went to %s", partition, name, owners[partition])
		}
	}
}

func TestPlaceWithoutNodesLeavesEverythingToNobody(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(make([]string, 3), cluster.Place(3, nil, map[int]string{0: "a"})); diff != "" {
		t.Error(diff)
	}
	if got := cluster.Place(-1, candidates("a"), nil); len(got) != 0 {
		t.Errorf("owners of no partition: %v", got)
	}
}

// A change of these answers moves partitions to and fro while nodes of two
// versions run side by side: each wants what the other does not.
func TestPlaceGivesTheSameAnswerForEver(t *testing.T) {
	t.Parallel()
	if got, want := strings.Join(cluster.Place(16, candidates("a", "b", "c"), nil), ""), "cbabcbccacaaccab"; got != want {
		t.Errorf("16 partitions went to %s, ever since to %s", got, want)
	}
	many := make([]cluster.Candidate, 100)
	for i := range many {
		many[i] = cluster.Candidate{Name: fmt.Sprintf("node-%d", i), Weight: 1 + i%3, Capacity: i % 50}
	}
	owners := cluster.Place(4096, many, map[int]string{17: "node-3", 4095: "node-99"})
	if got, want := xxhash.Sum64String(strings.Join(owners, " ")), uint64(0x80dfc2cc1178eb70); got != want {
		t.Errorf("4,096 partitions over 100 nodes have the digest %#x, ever since %#x", got, want)
	}
}

func TestPlaceDutiesSharesDutiesByTheRules(t *testing.T) {
	t.Parallel()
	weighted := []cluster.Candidate{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 6}}
	for _, c := range []struct {
		rule   string
		duties int
		nodes  []cluster.Candidate
		want   []int // how many duties the nodes get, in ascending order
	}{
		{"fewer duties than nodes: one each", 2, candidates("a", "b", "c"), []int{0, 1, 1}},
		{"as many as nodes: one each", 3, candidates("a", "b", "c"), []int{1, 1, 1}},
		{"one more: one node has two", 4, candidates("a", "b", "c"), []int{1, 1, 2}},
		{"many: as even as it goes", 11, candidates("a", "b", "c"), []int{3, 4, 4}},
		{"one node does everything", 5, candidates("a"), []int{5}},
		{"nobody gets two before all have one, whatever their weight", 3, weighted, []int{1, 1, 1}},
		{"beyond that shares follow weights", 8, weighted, []int{1, 1, 6}},
		{"capacity does not count", 4, []cluster.Candidate{{Name: "a", Capacity: 1}}, []int{4}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			held := map[string]int{}
			for _, name := range cluster.PlaceDuties(dutyNames(c.duties), c.nodes) {
				held[name]++
			}
			got := make([]int, len(c.nodes))
			for i, n := range c.nodes {
				got[i] = held[n.Name]
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlaceDutiesNamesEveryDutyOnce(t *testing.T) {
	t.Parallel()
	got := cluster.PlaceDuties([]string{"y", "x", "y"}, candidates("a"))
	if diff := cmp.Diff(map[string]string{"x": "a", "y": "a"}, got); diff != "" {
		t.Error(diff)
	}
	got = cluster.PlaceDuties([]string{"x"}, nil)
	if diff := cmp.Diff(map[string]string{"x": ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlaceDutiesGivesTheSameAnswerForEver(t *testing.T) {
	t.Parallel()
	want := map[string]string{"duty-0": "a", "duty-1": "b", "duty-2": "c", "duty-3": "a", "duty-4": "c"}
	if diff := cmp.Diff(want, cluster.PlaceDuties(dutyNames(5), candidates("a", "b", "c"))); diff != "" {
		t.Error(diff)
	}
}

func candidates(names ...string) []cluster.Candidate {
	all := make([]cluster.Candidate, len(names))
	for i, name := range names {
		all[i] = cluster.Candidate{Name: name}
	}
	return all
}

func dutyNames(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("duty-%d", i)
	}
	return all
}

func tally(owners []string) map[string]int {
	counts := map[string]int{}
	for _, name := range owners {
		counts[name]++
	}
	return counts
}
