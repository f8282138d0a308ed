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
	players := make(map[string]int, len(nodes))
	for i, n := range nodes {
		players[n.Name] = i
	}
	for partition, name := range pins {
		if player, found := players[name]; found && partition >= 0 && partition < len(owners) {
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
// No node gets a second duty before every node has one, and no more than its
// fair share by weight, rounded up. Where all weights are equal, no node has two
// duties more than another. Capacity is about partitions: it does not count here.
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

// sortedByName decides which of two nodes comes first in the one case that times
// leave open: that they come to a card at the very same one.
func sortedByName(nodes []Candidate) []Candidate {
	return slices.SortedFunc(slices.Values(nodes), func(a, b Candidate) int { return cmp.Compare(a.Name, b.Name) })
}

// bounds returns the most partitions that each node may get. Together they are
// never too few.
func bounds(partitions int, nodes []Candidate) []int {
	limits := capacities(partitions, nodes)
	if sum(limits) < partitions {
		limits = slices.Repeat([]int{partitions}, len(nodes))
	}
	total := totalWeight(nodes)
	seats := make([]int, len(nodes))
	for i, n := range nodes {
		seats[i] = min(limits[i], fairBound(partitions, n.weight(), total))
	}
	if sum(seats) < partitions {
		return raisedBounds(partitions, nodes, limits)
	}
	return seats
}

func capacities(partitions int, nodes []Candidate) []int {
	limits := make([]int, len(nodes))
	for i, n := range nodes {
		limits[i] = partitions
		if n.Capacity > 0 {
			limits[i] = min(n.Capacity, partitions)
		}
	}
	return limits
}

// fairBound returns 1.15 times the share of partitions by weight, rounded up. It
// counts in whole numbers: floats round differently on different machines.
func fairBound(partitions int, weight, total int64) int {
	return int(ceilDiv(115*int64(partitions)*weight, 100*total))
}

// raisedBounds fills the nodes up to their limits as water fills vessels of
// different height: a node whose limit is below its share gets its limit, which
// makes the shares of the others larger; those whose limits are above share what
// is left. The limits together are enough for all partitions.
func raisedBounds(partitions int, nodes []Candidate, limits []int) []int {
	order := make([]int, len(nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(int64(limits[a])*nodes[b].weight(), int64(limits[b])*nodes[a].weight())
	})
	left, total := partitions, totalWeight(nodes)
	seats := slices.Clone(limits)
	for k, i := range order {
		if weight := nodes[i].weight(); int64(limits[i])*total < int64(left)*weight {
			left -= limits[i]
			total -= weight
			continue
		}
		for _, i := range order[k:] {
			seats[i] = min(limits[i], fairBound(left, nodes[i].weight(), total))
		}
		break
	}
	return seats
}

// dutyRounds returns the seats of the rounds in which duties are given out: one
// for each node, then its fair share rounded down, then rounded up.
func dutyRounds(duties int, nodes []Candidate) [3][]int {
	var rounds [3][]int
	total := totalWeight(nodes)
	for _, n := range nodes {
		share := int64(duties) * n.weight()
		rounds[0] = append(rounds[0], 1)
		rounds[1] = append(rounds[1], int(share/total))
		rounds[2] = append(rounds[2], int(ceilDiv(share, total)))
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
