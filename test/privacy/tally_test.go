package privacy_test

import (
	"sync"
	"testing"
)

// races are what has to happen while somebody is forgotten, in all runs together, or the
// test has shown nothing.
var races = []string{
	"join", "greet", "recite", "tick", "refuse", "look", "snapshot", "rebuild beside", "rebuild in place", "crash",
	"the same forgotten twice at once", "forgotten after it was broken off", "another forgotten",
}

// fewest is how often each of them has to, in each run that there is.
const fewest = 1

// counts are what happened in all runs.
type counts struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what]++
}

func (c *counts) check(t *testing.T, runs int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d runs; while somebody was forgotten: %v", runs, c.seen)
	for _, what := range races {
		if c.seen[what] < fewest*runs {
			t.Errorf("INVALID: %q happened %d times in %d runs while somebody was forgotten", what, c.seen[what], runs)
		}
	}
}

// tally is one run's way to the counts: it knows whether somebody is being forgotten.
type tally struct {
	all *counts

	mu    sync.Mutex
	under int    // how many are being forgotten
	begun uint64 // how many ever
}

// during counts something that lies between the call and that of ended, if somebody was being
// forgotten at any time in between.
func (t *tally) during(what string) (ended func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	under, begun := t.under, t.begun
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if under > 0 || begun != t.begun {
			t.all.add(what)
		}
	}
}

// forgetting is called around a forgetting.
func (t *tally) forgetting() (ended func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.under > 0 {
		t.all.add("another forgotten")
	}
	t.under++
	t.begun++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.under--
	}
}
