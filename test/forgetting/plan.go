//go:build linux

package main

import (
	"math/rand/v2"

	"github.com/annals-go/annals/store/privacy"
)

// round is one forgetting and what is done to it.
type round struct {
	// at is when the node is killed that takes that step first; nil: at any moment.
	at *moment
	// other: it is a node that was not asked that is killed at any moment.
	other bool
	// asked is how many nodes are asked at the same time.
	asked int
	// ids says how the requests name the erasure: all the same, each its own, or not.
	ids idsOf
	// left: nobody asks again, and the nodes have to go on by themselves.
	left bool
	// down: the node is started again only when the receipt is there.
	down bool
	// again: the person is somebody who was forgotten before and came back, if there is one.
	again bool
}

type idsOf int

const (
	noIDs idsOf = iota
	oneID
	ownIDs
	idKinds
)

// moments are all that a node is killed at.
func moments() []moment {
	var all []moment
	for _, step := range steps {
		all = append(all, moment{step, false}, moment{step, true})
	}
	return all
}

func allMoments() []string {
	var all []string
	for _, m := range moments() {
		all = append(all, m.String())
	}
	return all
}

// leaveEvery is how many rounds there are for each that nobody asks again in.
const leaveEvery = 4

// plan makes the rounds of a seed: each moment once, and some at any. Those that are left
// come first: the nodes wait for a minute before they go on.
func plan(r *rand.Rand, random int) []round {
	var left, rest []round
	for i, m := range moments() {
		one := round{at: &m, asked: 1 + i%3, ids: idsOf(r.IntN(int(idKinds))), again: r.IntN(2) == 0}
		// Before the fence nothing was begun that anybody could go on with.
		if i%leaveEvery == leaveEvery-1 && (m.step != privacy.StepFence || m.after) {
			one.left, one.asked, one.again = true, 1, false
			left = append(left, one)
			continue
		}
		one.down = r.IntN(leaveEvery) == 0
		rest = append(rest, one)
	}
	for range random {
		for _, other := range []bool{false, true} {
			rest = append(rest, round{other: other, asked: 1 + r.IntN(2), ids: idsOf(r.IntN(int(idKinds))), again: r.IntN(2) == 0, down: r.IntN(leaveEvery) == 0})
		}
	}
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return append(left, rest...)
}
