package main

import (
	"math/rand/v2"
	"time"
)

// cut is what one power cut does. It follows from the run's seed alone.
type cut struct {
	Number  int           // from 1, counted apart for control cuts
	Control bool          // without the barrier
	Fresh   bool          // on a new file system
	Commit  int           // seconds between the journal's own commits
	How     shutdown      // what the cut drops
	Load    time.Duration // how long clients send commands
	Quiet   time.Duration // how long the system is left to itself after that, before the cut
	Seed    uint64        // of the load
}

// cutsPerImage is how many cuts in a row one file system must survive: the
// later ones find a log with a history, the first a system just born.
const cutsPerImage = 4

// The time under load, and the time after it. While commands are stored each
// sync takes along what the views have written; when commands stop, the views
// catch up and nobody syncs. Half of the cuts come then.
const (
	minLoad, maxLoad   = 150 * time.Millisecond, 2 * time.Second
	minQuiet, maxQuiet = 50 * time.Millisecond, 3 * time.Second
)

// planCuts returns the control cuts, then the others: a run whose control
// cannot lose is not worth finishing. Kinds of cut and commit intervals take
// turns, the moment is random.
func planCuts(seed uint64, cuts, controls int) []cut {
	random := rand.New(rand.NewPCG(seed, 0))
	commits := []int{300, 5, 1}
	plan := make([]cut, 0, cuts+controls)
	add := func(n int, c cut) {
		c.Number, c.How = n+1, []shutdown{dropJournal, flushJournal}[n%2]
		c.Load = between(random, minLoad, maxLoad)
		c.Seed = random.Uint64()
		plan = append(plan, c)
	}
	for n := range controls {
		// The longest interval: what is lost is up to the system, not the journal.
		add(n, cut{Control: true, Fresh: true, Commit: commits[0]})
	}
	for n := range cuts {
		c := cut{Fresh: n%cutsPerImage == 0, Commit: commits[n%len(commits)]}
		if n%4 >= 2 {
			c.Quiet = between(random, minQuiet, maxQuiet)
		}
		add(n, c)
	}
	return plan
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Int64N(int64(high-low)))
}
