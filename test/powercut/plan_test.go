//go:build linux

package main

import (
	"reflect"
	"testing"
)

func TestPlanFollowsFromTheSeed(t *testing.T) {
	t.Parallel()
	if !reflect.DeepEqual(planCuts(1, 14, 2, true), planCuts(1, 14, 2, true)) {
		t.Error("two plans of one seed differ")
	}
	if reflect.DeepEqual(planCuts(1, 14, 2, true), planCuts(2, 14, 2, true)) {
		t.Error("the plans of two seeds are the same")
	}
}

func TestPlanHasEveryKindOfCut(t *testing.T) {
	t.Parallel()
	plan := planCuts(7, 24, 2, true)
	if len(plan) != 26 || !plan[0].Control || !plan[1].Control || plan[2].Control {
		t.Fatalf("want 2 control cuts, then 24 others")
	}
	type kind struct {
		how      shutdown
		quiet    bool
		rebuilds bool
	}
	kinds, commits := map[kind]int{}, map[int]int{}
	for i, c := range plan[2:] {
		kinds[kind{c.How, c.Quiet > 0, c.Rebuild > 0}]++
		commits[c.Commit]++
		if c.Number != i+1 || c.Fresh != (i%cutsPerImage == 0) {
			t.Errorf("cut %d has number %d, new %v", i+1, c.Number, c.Fresh)
		}
		if c.Rebuild == 0 && (c.Load < minLoad || c.Load >= maxLoad) {
			t.Errorf("cut %d waits for %d acknowledgements", i+1, c.Load)
		}
	}
	if len(kinds) != 6 || len(commits) != 3 {
		t.Errorf("kinds %v, commit intervals %v", kinds, commits)
	}
}

func TestPlanRebuildsNoViewsWhereThereAreNone(t *testing.T) {
	t.Parallel()
	for _, c := range planCuts(7, 24, 0, false) {
		if c.Rebuild > 0 || c.Load == 0 {
			t.Errorf("cut %d: %s", c.Number, c)
		}
	}
}
