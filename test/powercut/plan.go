//go:build linux

package main

import (
	"fmt"
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
	Load    int           // acknowledgements to wait for, then comes the cut
	Quiet   time.Duration // or clients only query for so long, and then it comes
	// Rebuild, if not 0: the views are gone and are built again from the first
	// event, while clients only query. The cut comes when this part is done.
	Rebuild float64
	Seed    uint64 // of the load
}

// String tells all that matters to somebody who reads along.
func (c cut) String() string {
	text := fmt.Sprintf("%s, commit=%d", c.How, c.Commit)
	if c.Fresh {
		text = "new file system, " + text
	}
	if c.Rebuild > 0 {
		text += fmt.Sprintf(", views rebuilt by %.0f%%", 100*c.Rebuild)
	}
	if c.Quiet > 0 {
		text += fmt.Sprintf(", %s quiet", c.Quiet.Round(time.Millisecond))
	}
	return text
}

// cutsPerImage is how many cuts in a row one file system must survive. The
// first finds a system just born, the later ones a log with a history.
//
// While commands are stored, each sync takes along what the views have written.
// The third cut comes when commands have stopped and the views are left with
// nobody who syncs for them, the fourth when the views are built again from the
// first event.
const (
	cutsPerImage = 4
	thenQuiet    = 2
	thenRebuild  = 3
)

const (
	minLoad, maxLoad   = 100, 10_000
	minQuiet, maxQuiet = 50 * time.Millisecond, 3 * time.Second
	minRebuild         = 0.3
)

// planCuts returns the control cuts, then the others: a run whose control
// cannot lose is not worth finishing. Kinds of cut and commit intervals take
// turns, the moment is random.
func planCuts(seed uint64, cuts, controls int, views bool) []cut {
	random := rand.New(rand.NewPCG(seed, 0))
	commits := []int{300, 5, 1}
	plan := make([]cut, 0, cuts+controls)
	add := func(n int, c cut) {
		c.Number, c.How, c.Seed = n+1, []shutdown{dropJournal, flushJournal}[n%2], random.Uint64()
		plan = append(plan, c)
	}
	for n := range controls {
		// The longest interval: what is lost is up to the system, not the journal.
		add(n, cut{Control: true, Fresh: true, Commit: commits[0], Load: minLoad + random.IntN(maxLoad-minLoad)})
	}
	for n := range cuts {
		c := cut{Fresh: n%cutsPerImage == 0, Commit: commits[n%len(commits)], Load: minLoad + random.IntN(maxLoad-minLoad)}
		switch at := n % cutsPerImage; {
		case at == thenQuiet:
			c.Quiet = minQuiet + time.Duration(random.Int64N(int64(maxQuiet-minQuiet)))
		case at == thenRebuild && views:
			c.Rebuild, c.Load = minRebuild+random.Float64()*(1-minRebuild), 0
		}
		// Both kinds of cut meet each kind of moment.
		add(n+n/cutsPerImage, c)
		plan[len(plan)-1].Number = n + 1
	}
	return plan
}
