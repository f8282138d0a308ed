//go:build linux

package main

import "math/rand/v2"

// kind is what a fault does.
type kind string

// The kinds of faults.
const (
	ownerKill  kind = "owner kill"
	leaderKill kind = "NATS leader kill"
	drain      kind = "drain"
	pause      kind = "pause"
)

// fault is one fault of the plan. It follows from the seed alone; which server
// leads when its time comes does not.
type fault struct {
	kind kind
	node int // index of the node that it hits
}

// planFaults returns the faults in random order, each against a random node.
func planFaults(seed uint64, c counts, nodes int) []fault {
	random := rand.New(rand.NewPCG(seed, 1<<34))
	var plan []fault
	for _, k := range []struct {
		kind kind
		n    int
	}{{ownerKill, c.kills}, {leaderKill, c.leaderKills}, {drain, c.drains}, {pause, c.pauses}} {
		for range k.n {
			plan = append(plan, fault{k.kind, random.IntN(nodes)})
		}
	}
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}
