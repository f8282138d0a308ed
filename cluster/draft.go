package cluster

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// draft gives cards (partitions, duties) to players (nodes), as teams draft
// their members: each player has all the cards in a deck of its own, in an
// order that follows from its name alone, and looks at one card of it at each
// of its turns. If the card is still free and the player has a seat left, it
// takes the card; a player without a seat is out.
//
// The times of a player's turns follow from its name and weight alone, too. So a
// card goes to whoever comes to it first: this is weighted rendezvous hashing,
// in which a new player takes cards from others and moves none between them.
// Only where seats run short do cards go to the second who comes to them, and
// there a change of players moves a few more.
//
// It differs from rendezvous hashing in its spread. There the score of a player
// for a card is a random number, so how many good scores a player has is left to
// chance. Here each player looks at exactly as many cards as any other of its
// weight at any time, and only how many of them are still free is chance: half
// the variance, fewer players who run out of seats, fewer cards that move. The
// figures, and those of a walk around a ring, are in DESIGN.md.
type draft struct {
	nodes []Candidate
	decks [][]int32
	owner []int // of each card: index of a node, or free
	held  []int // cards that each player has
	times []uint64
}

const free = -1

// newDraft returns a draft whose cards are all free. deck is given the cards in
// ascending order and the player's name, and puts them into the player's order.
func newDraft(cards int, nodes []Candidate, deck func(name string, cards []int32)) *draft {
	d := &draft{
		nodes: nodes,
		decks: make([][]int32, len(nodes)),
		owner: slices.Repeat([]int{free}, cards),
		held:  make([]int, len(nodes)),
		times: turnTimes(cards),
	}
	all := make([]int32, cards*len(nodes))
	for i, n := range nodes {
		d.decks[i] = all[i*cards : (i+1)*cards]
		for card := range d.decks[i] {
			d.decks[i][card] = int32(card)
		}
		deck(n.Name, d.decks[i])
	}
	return d
}

// deal gives a free card to a player, seats or not.
func (d *draft) deal(card, player int) {
	d.owner[card] = player
	d.held[player]++
}

// play lets the players take turns, from the first card of their decks, until no
// card is free or no player has less than its seats.
func (d *draft) play(seats []int) {
	left := 0
	for _, player := range d.owner {
		if player == free {
			left++
		}
	}
	q := d.queue(seats)
	for left > 0 && len(q) > 0 {
		t := &q[0]
		if card := d.decks[t.player][t.number]; d.owner[card] == free {
			d.deal(int(card), t.player)
			left--
		}
		t.number++
		if d.held[t.player] >= seats[t.player] || t.number == len(d.owner) {
			q[0] = q[len(q)-1]
			q = q[:len(q)-1]
		} else {
			d.schedule(t)
		}
		q.sift(0)
	}
}

// queue returns the first turns of all players that have seats left.
func (d *draft) queue(seats []int) turns {
	q := make(turns, 0, len(seats))
	for i := range seats {
		if d.held[i] < seats[i] {
			q = append(q, turn{player: i, random: random(xxhash.Sum64String(d.nodes[i].Name))})
			d.schedule(&q[len(q)-1])
		}
	}
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.sift(i)
	}
	return q
}

// schedule sets the turn's time: a random one in its span, so that players of one
// weight come in another order each time.
func (d *draft) schedule(t *turn) {
	begin, end := d.times[t.number], d.times[t.number+1]
	t.time = (begin + t.random.below(end-begin)) / uint64(d.nodes[t.player].weight())
}

// turnTimes returns when each turn begins for a player of weight 1, and when the
// last one ends.
//
// Shares are proportional to weights if the time at which a player comes to a
// card is exponentially distributed with the weight as its rate. The first of n
// such times comes after 1/n on average, the next one 1/(n-1) later and so on: a
// sum of whole numbers instead of logarithms, which differ in their last bits
// from machine to machine.
func turnTimes(cards int) []uint64 {
	const one = 1 << 56 // leaves room for the sum, and digits for large weights
	times := make([]uint64, cards+1)
	for i := range cards {
		times[i+1] = times[i] + one/uint64(cards-i)
	}
	return times
}

// shuffledDeck puts cards that are told by their numbers into the player's order.
func shuffledDeck(name string, cards []int32) {
	r := random(^xxhash.Sum64String(name))
	for i := len(cards) - 1; i > 0; i-- {
		j := r.below(uint64(i + 1))
		cards[i], cards[j] = cards[j], cards[i]
	}
}

// rankedDeck puts cards that are told by their names into the player's order. One
// card more leaves the order of the others alone; it is slower than shuffling.
func rankedDeck(name string, cards []int32, names []string) {
	ranks := make([]uint64, len(names))
	for card, n := range names {
		ranks[card] = xxhash.Sum64String(name + "\x00" + n)
	}
	slices.SortFunc(cards, func(a, b int32) int { return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b)) })
}

// turn is a player's next turn.
type turn struct {
	time   uint64
	player int
	number int
	random random
}

// turns is a heap, the earliest turn first.
type turns []turn

func (q turns) sift(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q.before(child, first) {
				first = child
			}
		}
		if first == i {
			return
		}
		q[i], q[first] = q[first], q[i]
		i = first
	}
}

func (q turns) before(i, j int) bool {
	return q[i].time < q[j].time || q[i].time == q[j].time && q[i].player < q[j].player
}

// random is a generator of numbers (splitmix64) that no version of Go changes.
type random uint64

func (r *random) below(limit uint64) uint64 {
	*r += 0x9e3779b97f4a7c15
	x := uint64(*r)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	n, _ := bits.Mul64(x^x>>31, limit)
	return n
}
