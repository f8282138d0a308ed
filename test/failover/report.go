//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// What a run must have done to say anything.
const (
	minAcknowledged = 20_000
	minOwnerKills   = 20
	minLeaderKills  = 5
	minDrains       = 20
	minPauses       = 5
)

// What it must not exceed, in milliseconds.
const (
	mostOwnerKill  = 3_000
	mostLeaderKill = 10_000
	mostDrain      = 500
)

// report is the run's last line. Times are in milliseconds.
type report struct {
	Acknowledged int `json:"acknowledged"`
	Lost         int `json:"lost"`
	Duplicated   int `json:"duplicated"`
	Reordered    int `json:"reordered"`
	StaleCommits int `json:"stale_commits"`

	OwnerKills    int   `json:"owner_kills"`
	OwnerKillP99  int64 `json:"owner_kill_p99_ms"`
	LeaderKills   int   `json:"nats_leader_kills"`
	LeaderKillP99 int64 `json:"nats_leader_kill_p99_ms"`
	Drains        int   `json:"drains"`
	DrainP99      int64 `json:"drain_p99_ms"`
	Pauses        int   `json:"pauses"`

	StaleReads  int `json:"stale_reads"`
	Unjustified int `json:"unjustified"`
	Unsettled   int `json:"unsettled"`
	Unexpected  int `json:"unexpected"`
	Views       int `json:"view_differences"`

	OwnerKillP50  int64   `json:"owner_kill_p50_ms"`
	OwnerKillMax  int64   `json:"owner_kill_max_ms"`
	LeaderKillP50 int64   `json:"nats_leader_kill_p50_ms"`
	LeaderKillMax int64   `json:"nats_leader_kill_max_ms"`
	DrainP50      int64   `json:"drain_p50_ms"`
	DrainMax      int64   `json:"drain_max_ms"`
	PauseP99      int64   `json:"pause_p99_ms"`
	PauseMax      int64   `json:"pause_max_ms"`
	Rejected      int     `json:"rejected"`
	Unknown       int     `json:"unknown"`
	Unavailable   int     `json:"unavailable"`
	Reads         int     `json:"reads"`
	Commits       int     `json:"commits"`
	Epochs        int     `json:"epochs"`
	Seconds       float64 `json:"seconds"`
	Seed          uint64  `json:"seed"`
}

func newReport(outages []outage, v *verdict) report {
	f := v.findings
	r := report{
		Acknowledged: f.Acknowledged, Lost: f.Lost, Duplicated: f.Duplicated, Reordered: f.Reordered, StaleCommits: f.StaleCommits,
		StaleReads: f.StaleReads, Unjustified: f.Unjustified, Unsettled: f.Unsettled, Unexpected: f.Unexpected, Views: len(v.views),
		Rejected: f.Rejected, Unknown: f.Unknown, Unavailable: f.Unavailable, Reads: f.Reads, Commits: v.commits, Epochs: v.epochs,
	}
	number, times := map[kind]int{}, map[kind][]time.Duration{}
	for _, o := range outages {
		number[o.kind]++
		times[o.kind] = append(times[o.kind], o.times...)
	}
	at := func(k kind, p float64) int64 { return fleet.Percentile(times[k], p).Milliseconds() }
	r.OwnerKills, r.OwnerKillP50, r.OwnerKillP99, r.OwnerKillMax = number[ownerKill], at(ownerKill, 0.5), at(ownerKill, 0.99), at(ownerKill, 1)
	r.LeaderKills, r.LeaderKillP50, r.LeaderKillP99, r.LeaderKillMax = number[leaderKill], at(leaderKill, 0.5), at(leaderKill, 0.99), at(leaderKill, 1)
	r.Drains, r.DrainP50, r.DrainP99, r.DrainMax = number[drain], at(drain, 0.5), at(drain, 0.99), at(drain, 1)
	r.Pauses, r.PauseP99, r.PauseMax = number[pause], at(pause, 0.99), at(pause, 1)
	return r
}

// verdict says everything that the run falls short of; nil if nothing.
func (r report) verdict() error {
	var short []error
	none := func(what string, n int) {
		if n != 0 {
			short = append(short, fmt.Errorf("%d %s, want none", n, what))
		}
	}
	least := func(what string, n, want int) {
		if n < want {
			short = append(short, fmt.Errorf("INVALID: %d %s, want at least %d to say anything", n, what, want))
		}
	}
	most := func(what string, ms int64, want int64) {
		if ms > want {
			short = append(short, fmt.Errorf("%s: p99 %d ms, want at most %d", what, ms, want))
		}
	}
	none("acknowledged commands lost", r.Lost)
	none("commands duplicated or invented", r.Duplicated)
	none("commands reordered", r.Reordered)
	none("stale commits", r.StaleCommits)
	none("stale reads", r.StaleReads)
	none("applications whose answers no order explains", r.Unjustified)
	none("commands still unknown after healing", r.Unsettled)
	none("unexpected answers", r.Unexpected)
	none("differences between views and log", r.Views)
	least("acknowledged commands", r.Acknowledged, minAcknowledged)
	least("owner kills", r.OwnerKills, minOwnerKills)
	least("NATS leader kills", r.LeaderKills, minLeaderKills)
	least("drains", r.Drains, minDrains)
	least("pauses", r.Pauses, minPauses)
	// Without epochs in the commits the check for stale ones checks nothing; each
	// fault makes some.
	least("epochs in the log", r.Epochs, minOwnerKills+minDrains+minPauses)
	most("owner kill", r.OwnerKillP99, mostOwnerKill)
	most("NATS leader kill", r.LeaderKillP99, mostLeaderKill)
	most("drain", r.DrainP99, mostDrain)
	return errors.Join(short...)
}
