package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMain lets children of the tests be what a child is.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-role") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestKills makes a few kills on a small log: that the harness works, and sees
// what is planted.
func TestKills(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short starts no children")
	}
	var out, tell bytes.Buffer
	err := run(t.Context(), []string{"-stores", "kv,sqlite", "-kills", "4", "-events", "5000", "-rounds", "0", "-dir", t.TempDir()}, &out, &tell)
	if err == nil || strings.Contains(err.Error(), "seed") {
		t.Fatalf("a short run ended with %v, want the verdict that it says too little; it said:\n%s", err, tell.String())
	}
	var total report
	if err := json.Unmarshal(out.Bytes(), &total); err != nil {
		t.Fatalf("it printed %q: %v", out.String(), err)
	}
	if total.Kills != 8 || total.Differences != 0 {
		t.Errorf("%d kills, %d differences, want 8 and 0:\n%s", total.Kills, total.Differences, tell.String())
	}
	for _, store := range []string{"kv", "sqlite"} {
		if p := total.Parked[store]; !p.asItMust() {
			t.Errorf("%s: a stream that was parked: %+v", store, p)
		}
		if k := total.Stores[store]; k.Planted != planted || k.Documents == 0 || k.CatchUps == 0 {
			t.Errorf("%s: %+v, want the planted differences found", store, k)
		}
	}
}

func TestMomentsFollowFromTheSeed(t *testing.T) {
	t.Parallel()
	a, b, c := moments(7), moments(7), moments(8)
	same := true
	for range 50 {
		x, y, z := a(), b(), c()
		if x != y {
			t.Errorf("%v and %v of one seed", x, y)
		}
		same = same && x == z
		if x.commits > maxCommits || x.after < 0 || x.after > clockUpTo {
			t.Errorf("moment %+v", x)
		}
	}
	if same {
		t.Error("two seeds have the same moments")
	}
}

func TestTracesEndAtTheNumberOfEvents(t *testing.T) {
	t.Parallel()
	n := 0
	for trace, err := range traces("", 1_003) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(trace.Events)
	}
	if n != 1_003 {
		t.Errorf("%d events, want 1003", n)
	}
}

func TestAMissingFileIsAnError(t *testing.T) {
	t.Parallel()
	for _, err := range traces(t.TempDir()+"/none.xes.gz", 10) {
		if err == nil {
			t.Error("a file that is not there was read")
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	all := options{stores: allStores}
	good := func() report {
		k := killed{Kills: minKills, InCommit: 3, Planted: planted}
		p := parked{Letters: 2, Queued: 9, Before: 4}
		return report{
			Kills: 150, rates: rates{Bare: 1}, Stores: map[string]killed{"kv": k, "sqlite": k, "postgres": k},
			Parked: map[string]parked{"kv": p, "sqlite": p, "postgres": p},
		}
	}
	if err := good().verdict(all); err != nil {
		t.Errorf("all is well: %v", err)
	}
	for name, spoil := range map[string]func(r *report){
		"a difference":          func(r *report) { r.Differences = 1 },
		"a store is missing":    func(r *report) { delete(r.Stores, "sqlite") },
		"nothing planted":       func(r *report) { r.Stores["kv"] = killed{Kills: minKills, InCommit: 1} },
		"a planted one missed":  func(r *report) { r.Stores["kv"] = killed{Kills: minKills, InCommit: 1, Planted: 1} },
		"too few kills":         func(r *report) { r.Stores["kv"] = killed{Kills: 3, InCommit: 1, Planted: planted} },
		"none in a commit":      func(r *report) { r.Stores["kv"] = killed{Kills: minKills, Planted: planted} },
		"a stream stays parked": func(r *report) { r.Parked["kv"] = parked{Letters: 2, Queued: 9, Before: 4, Left: 1} },
		"a repair that is none": func(r *report) { r.Parked["kv"] = parked{Letters: 2, Queued: 9, Before: 4, After: 1} },
		"nothing was parked":    func(r *report) { r.Parked["kv"] = parked{} },
		"no rates":              func(r *report) { r.Bare = 0 },
		"neighbours slowed":     func(r *report) { r.Blocked.AppendP99 = pair{Blocked: 2, Free: 1, Noise: 1} },
		"neighbours held back":  func(r *report) { r.Blocked.LagP99 = pair{Blocked: 20, Free: 1, Noise: 10} },
	} {
		r := good()
		spoil(&r)
		if r.verdict(all) == nil {
			t.Errorf("%s: no verdict", name)
		}
	}
	if good().verdict(options{stores: []string{"kv"}}) == nil {
		t.Error("a run without all stores passed")
	}
}
