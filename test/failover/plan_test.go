//go:build linux

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanFollowsFromTheSeed(t *testing.T) {
	t.Parallel()
	c := counts{kills: 20, leaderKills: 5, drains: 20, pauses: 5}
	plan := planFaults(7, c, 3)
	if diff := cmp.Diff(plan, planFaults(7, c, 3), cmp.AllowUnexported(fault{})); diff != "" {
		t.Errorf("the same seed plans something else: %s", diff)
	}
	if cmp.Equal(plan, planFaults(8, c, 3), cmp.AllowUnexported(fault{})) {
		t.Error("another seed plans the same")
	}
	number, nodes := map[kind]int{}, map[int]int{}
	changes := 0
	for i, f := range plan {
		number[f.kind]++
		nodes[f.node]++
		if i > 0 && f.kind != plan[i-1].kind {
			changes++
		}
	}
	want := map[kind]int{ownerKill: 20, leaderKill: 5, drain: 20, pause: 5}
	if diff := cmp.Diff(want, number); diff != "" {
		t.Error(diff)
	}
	if len(nodes) != 3 || changes < 10 {
		t.Errorf("nodes are hit %v times, and kinds change %d times", nodes, changes)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		mode string
		ok   bool
	}{
		{nil, "faults", true},
		{[]string{"-seed", "3"}, "faults", true},
		{[]string{"rolling", "-rounds", "3"}, "rolling", true},
		{[]string{"partition"}, "partition", true},
		{[]string{"rolling", "more"}, "", false},
		{[]string{"-drains", "-1"}, "", false},
		{[]string{"-rate", "0"}, "", false},
	} {
		o, err := parse(c.args, discard{})
		if (err == nil) != c.ok || c.ok && o.mode != c.mode {
			t.Errorf("%q: mode %q, %v", c.args, o.mode, err)
		}
	}
	if err := run(t.Context(), []string{"storm"}, discard{}, discard{}); err == nil {
		t.Error("an unknown mode runs")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
