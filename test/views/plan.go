package main

import (
	"math/rand/v2"
	"time"
)

// moment is when a child is killed: so long after its start, or after so many
// of its commits have begun.
type moment struct {
	commits int // 0: by the clock alone
	after   time.Duration
}

// Every third child is killed by the clock, anywhere from its start on; the
// others around a commit, where most can go wrong. A commit takes some
// milliseconds.
const (
	clockUpTo  = 600 * time.Millisecond
	commitUpTo = 15 * time.Millisecond
	maxCommits = 8
)

// moments yields the moments of a seed, for ever.
func moments(seed uint64) func() moment {
	random := rand.New(rand.NewPCG(seed, 1))
	n := 0
	return func() moment {
		n++
		if n%3 == 0 {
			return moment{after: time.Duration(random.Int64N(int64(clockUpTo)))}
		}
		return moment{commits: 1 + random.IntN(maxCommits), after: time.Duration(random.Int64N(int64(commitUpTo)))}
	}
}
