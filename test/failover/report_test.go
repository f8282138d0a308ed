//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/test/fleet"
)

// good is a report that falls short of nothing.
func good() report {
	return report{
		Acknowledged: minAcknowledged, OwnerKills: minOwnerKills, LeaderKills: minLeaderKills, Drains: minDrains, Pauses: minPauses,
		OwnerKillP99: mostOwnerKill, LeaderKillP99: mostLeaderKill, DrainP99: mostDrain, Epochs: 200,
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(r *report)
		says  string
	}{
		{"good", func(*report) {}, ""},
		{"lost", func(r *report) { r.Lost = 1 }, "1 acknowledged commands lost"},
		{"duplicated", func(r *report) { r.Duplicated = 1 }, "duplicated"},
		{"reordered", func(r *report) { r.Reordered = 1 }, "reordered"},
		{"stale commits", func(r *report) { r.StaleCommits = 1 }, "stale commits"},
		{"stale reads", func(r *report) { r.StaleReads = 1 }, "stale reads"},
		{"unjustified", func(r *report) { r.Unjustified = 1 }, "no order explains"},
		{"unsettled", func(r *report) { r.Unsettled = 1 }, "still unknown"},
		{"unexpected", func(r *report) { r.Unexpected = 1 }, "unexpected"},
		{"views", func(r *report) { r.Views = 1 }, "views and log"},
		{"slow after an owner kill", func(r *report) { r.OwnerKillP99++ }, "owner kill: p99 3001 ms"},
		{"slow after a leader kill", func(r *report) { r.LeaderKillP99++ }, "NATS leader kill: p99"},
		{"slow drain", func(r *report) { r.DrainP99++ }, "drain: p99 501 ms"},
		{"too few commands", func(r *report) { r.Acknowledged-- }, "INVALID: 19999 acknowledged"},
		{"too few owner kills", func(r *report) { r.OwnerKills-- }, "INVALID: 19 owner kills"},
		{"too few leader kills", func(r *report) { r.LeaderKills-- }, "INVALID: 4 NATS leader kills"},
		{"too few drains", func(r *report) { r.Drains-- }, "INVALID: 19 drains"},
		{"too few pauses", func(r *report) { r.Pauses-- }, "INVALID: 4 pauses"},
		{"no epochs", func(r *report) { r.Epochs = 0 }, "INVALID: 0 epochs"},
	} {
		r := good()
		c.spoil(&r)
		err := r.verdict()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestReportMeasuresEachKindByItself(t *testing.T) {
	t.Parallel()
	ms := func(n ...int) (all []time.Duration) {
		for _, n := range n {
			all = append(all, time.Duration(n)*time.Millisecond)
		}
		return all
	}
	r := newReport([]outage{
		{kind: ownerKill, times: ms(10, 20)},
		{kind: drain, times: ms(5)},
		{kind: ownerKill, times: ms(30)},
		{kind: leaderKill, times: ms(400)},
		{kind: pause, times: ms(50)},
	}, &verdict{findings: &fleet.Findings{Acknowledged: 7}})
	want := report{
		Acknowledged: 7, OwnerKills: 2, OwnerKillP50: 20, OwnerKillP99: 30, OwnerKillMax: 30,
		LeaderKills: 1, LeaderKillP50: 400, LeaderKillP99: 400, LeaderKillMax: 400,
		Drains: 1, DrainP50: 5, DrainP99: 5, DrainMax: 5, Pauses: 1, PauseP99: 50, PauseMax: 50,
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestRollingVerdict(t *testing.T) {
	t.Parallel()
	sound := rollingReport{Commands: minCommands, Restarts: minRestarts}
	if err := sound.verdict(); err != nil {
		t.Error(err)
	}
	for name, r := range map[string]rollingReport{
		"a failed command": {Commands: minCommands, Restarts: minRestarts, Failed: 1},
		"a violation":      {Commands: minCommands, Restarts: minRestarts, Violations: 1},
		"a view":           {Commands: minCommands, Restarts: minRestarts, Views: 1},
		"an unclean end":   {Commands: minCommands, Restarts: minRestarts, Dirty: 1},
		"too few restarts": {Commands: minCommands, Restarts: minRestarts - 1},
		"too few commands": {Commands: minCommands - 1, Restarts: minRestarts},
	} {
		if r.verdict() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestPartitionVerdict(t *testing.T) {
	t.Parallel()
	sound := func() *partitionReport {
		return &partitionReport{Cuts: 2, Leader: 1, CommitsTried: 10, MemoryAnswers: 10, LastMemoryAnswer: mostMemory, FirstHeir: 5000, Margin: 1}
	}
	if err := sound().verdict(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(r *partitionReport){
		"a commit behind the cut":   func(r *partitionReport) { r.CommitsOK = 1 },
		"memory for too long":       func(r *partitionReport) { r.LastMemoryAnswer++ },
		"the heir begins too early": func(r *partitionReport) { r.Margin = 0 },
		"a stale read":              func(r *partitionReport) { r.StaleReads = 1 },
		"one cut":                   func(r *partitionReport) { r.Cuts = 1 },
		"never the leader":          func(r *partitionReport) { r.Leader = 0 },
		"nothing tried":             func(r *partitionReport) { r.CommitsTried = 0 },
		"nothing answered":          func(r *partitionReport) { r.MemoryAnswers = 0 },
	} {
		r := sound()
		if spoil(r); r.verdict() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestAnswersWithinACut(t *testing.T) {
	t.Parallel()
	cut := fleet.Interval{Sent: 10, Done: 20}
	answers := []fleet.Interval{{Sent: 1, Done: 2}, {Sent: 9, Done: 12}, {Sent: 13, Done: 14}, {Sent: 11, Done: 15}, {Sent: 19, Done: 21}}
	if last, n := lastWithin(answers, cut); last != 15 || n != 3 {
		t.Errorf("the last of %d came at %d", n, last)
	}
	if first, n := firstSent(answers, cut); first != 14 || n != 2 {
		t.Errorf("the first of %d came at %d", n, first)
	}
	if _, n := firstSent(nil, cut); n != 0 {
		t.Errorf("%d of none", n)
	}
}
