package main

import (
	"errors"
	"fmt"
	"slices"
)

// report is the run's last line.
type report struct {
	Kills       int `json:"kills"`
	Differences int `json:"differences"`
	rates
	// Synthetic are the rates of the long log.
	Synthetic rates `json:"synthetic"`
	// TwoWorkers are the rates with two workers.
	TwoWorkers rates `json:"two_workers"`
	// Parked is what came of a stream that could not be applied, for each store.
	Parked map[string]parked `json:"parked"`
	// Blocked is what a projection that is blocked for ever does to others.
	Blocked neighbours        `json:"blocked"`
	Stores  map[string]killed `json:"stores"`
	Seconds float64           `json:"seconds"`
	Seed    uint64            `json:"seed"`
}

// minKills is the fewest kills of a store that say anything.
const minKills = 50

// planted is how many differences the control plants.
const planted = 2

// verdict says everything that the run falls short of; nil if nothing.
func (r report) verdict(o options) error {
	var short []error
	note := func(format string, v ...any) { short = append(short, fmt.Errorf(format, v...)) }
	if r.Differences != 0 {
		note("%d documents or checkpoints are not what the log leads to", r.Differences)
	}
	for _, s := range allStores {
		k := r.Stores[s]
		switch {
		case !slices.Contains(o.stores, s):
			note("store %s was not tried", s)
		case k.Kills < minKills:
			note("%d kills of %s say too little, want %d", k.Kills, s, minKills)
		case k.InCommit == 0:
			note("no kill of %s fell into a commit", s)
		case k.Planted != planted:
			note("of %d planted differences in %s, %d were found", planted, s, k.Planted)
		case !r.Parked[s].asItMust():
			note("a stream that was parked in %s: %+v", s, r.Parked[s])
		}
	}
	if r.Bare == 0 {
		note("no rate was measured")
	}
	for what, p := range map[string]pair{"appends": r.Blocked.AppendP99, "other views": r.Blocked.LagP99} {
		if p.noticed() {
			note("a blocked projection slowed %s: p99 %.2f ms, without it %.2f ms, at worst %.2f ms", what, p.Blocked, p.Free, p.Noise)
		}
	}
	return errors.Join(short...)
}
