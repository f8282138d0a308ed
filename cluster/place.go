package cluster

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Candidate is a node as placement sees it.
type Candidate struct {
	// Name tells the node from all others. Two candidates with one name are a
	// programmer's error: they are placed as two nodes that nobody can tell apart.
	Name string

	// Weight is the node's share relative to the others'. What is below 1 counts
	// as 1, what is above [math.MaxInt32] as that.
	Weight int

	// Capacity is the most partitions that the node takes. 0 and less: no limit.
	Capacity int
}

// Place says which node is to serve each of the partitions [0, partitions).
// Without nodes every answer is "".
//
// The answer depends on the arguments alone, not on the order of nodes, and is
// the same on every machine: whoever knows the same nodes and pins wants the
// same owners, without asking anybody. It changes little when the nodes do:
// when one joins or leaves, its own share moves and little else.
//
// No node gets more than 1.15 times its fair share by weight, rounded up to a
// whole partition, with these exceptions, strongest first:
//
//   - A partition whose pin names one of the nodes goes there, whatever the
//     node's bound and capacity. Other pins say nothing.
//   - No node gets more than its Capacity.
//   - Where bounds and capacities leave partitions over, what the nodes at
//     their capacity cannot take is shared by the rest, each of which then gets
//     at most 1.15 times its share of that.
//   - Where the capacities leave partitions over, they are ignored: a node
//     that carries too much is better than a partition that nobody serves.
func Place(partitions int, nodes []Candidate, pins map[int]string) []string {
	owners := make([]string, max(partitions, 0))
	if len(nodes) == 0 || len(owners) == 0 {
		return owners
	}
	nodes = sortedByName(nodes)
	d := newDraft(len(owners), nodes, shuffledDeck)
	for partition, name := range pins {
		player, found := slices.BinarySearchFunc(nodes, name, func(c Candidate, name string) int { return cmp.Compare(c.Name, name) })
		if found && partition >= 0 && partition < len(owners) {
			d.deal(partition, player)
		}
	}
	d.play(bounds(len(owners), nodes))
	for partition, player := range d.owner {
		owners[partition] = nodes[player].Name
	}
	return owners
}

// PlaceDuties says which node is to run each duty, "" without nodes. Like
// [Place] it depends on nothing but its arguments, on no order, and changes
// little when a node or a duty comes or goes.
//
// No node gets a second duty before every node has one. Beyond that each gets
// its fair share by weight, rounded up or down, so that among nodes of one
// weight no node has two duties more than another. Capacity is about
// partitions and does not count here.
func PlaceDuties(duties []string, nodes []Candidate) map[string]string {
	runners := make(map[string]string, len(duties))
	for _, duty := range duties {
		runners[duty] = ""
	}
	if len(nodes) == 0 || len(duties) == 0 {
		return runners
	}
	nodes = sortedByName(nodes)
	duties = slices.Sorted(maps.Keys(runners))
	d := newDraft(len(duties), nodes, func(name string, cards []int32) { rankedDeck(name, cards, duties) })
	for _, seats := range dutyRounds(len(duties), nodes) {
		d.play(seats)
	}
	for duty, player := range d.owner {
		runners[duties[duty]] = nodes[player].Name
	}
	return runners
}

func sortedByName(nodes []Candidate) []Candidate {
	return slices.SortedFunc(slices.Values(nodes), func(a, b Candidate) int { return cmp.Compare(a.Name, b.Name) })
}

// bounds returns the most partitions that each node may get. Together they are
// never too few.
func bounds(partitions int, nodes []Candidate) []int {
	limits := make([]int, len(nodes))
	for i, n := range nodes {
		limits[i] = partitions
		if n.Capacity > 0 {
			limits[i] = min(n.Capacity, partitions)
		}
	}
	if sum(limits) < partitions {
		return sharedBounds(partitions, nodes, slices.Repeat([]int{partitions}, len(nodes)))
	}
	if seats := sharedBounds(partitions, nodes, limits); sum(seats) >= partitions {
		return seats
	}
	return raisedBounds(partitions, nodes, limits)
}

// sharedBounds returns the smaller of each node's limit and 1.15 times its
// share by weight, rounded up.
func sharedBounds(partitions int, nodes []Candidate, limits []int) []int {
	total := totalWeight(nodes)
	seats := make([]int, len(nodes))
	for i, n := range nodes {
		// Whole numbers only: a float would round differently on some machines.
		seats[i] = min(limits[i], int(ceilDiv(115*int64(partitions)*n.weight(), 100*total)))
	}
	return seats
}

// raisedBounds fills the nodes up to their limits as water fills vessels: those
// whose limit is below their share get their limit, and the rest share what is
// left by weight. As that makes the shares of the rest larger, more nodes may
// turn out to be limited, until none does.
func raisedBounds(partitions int, nodes []Candidate, limits []int) []int {
	seats := slices.Clone(limits)
	rest := make([]int, len(nodes))
	for i := range rest {
		rest[i] = i
	}
	total := totalWeight(nodes)
	for {
		before, left, weight := len(rest), partitions, total
		rest = slices.DeleteFunc(rest, func(i int) bool {
			if int64(limits[i])*weight >= int64(left)*nodes[i].weight() {
				return false
			}
			partitions -= limits[i]
			total -= nodes[i].weight()
			return true
		})
		if len(rest) == before {
			break
		}
	}
	for _, i := range rest {
		seats[i] = min(limits[i], int(ceilDiv(115*int64(partitions)*nodes[i].weight(), 100*total)))
	}
	return seats
}

// dutyRounds returns the seats of the rounds in which duties are given out: one
// for each node, then its share rounded down, then one more.
func dutyRounds(duties int, nodes []Candidate) [][]int {
	total := totalWeight(nodes)
	rounds := [][]int{make([]int, len(nodes)), make([]int, len(nodes)), make([]int, len(nodes))}
	for i, n := range nodes {
		share := int(int64(duties) * n.weight() / total)
		rounds[0][i], rounds[1][i], rounds[2][i] = 1, share, share+1
	}
	return rounds
}

func (c Candidate) weight() int64 { return int64(min(max(c.Weight, 1), math.MaxInt32)) }

func totalWeight(nodes []Candidate) int64 {
	total := int64(0)
	for _, n := range nodes {
		total += n.weight()
	}
	return total
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

func sum(values []int) int {
	total := 0
	for _, v := range values {
		total += v
	}
	return total
}
