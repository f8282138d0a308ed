package cluster

import (
	"encoding/json"
	"maps"
	"testing"
	"time"
)

// noted is a directory in which these nodes have joined, each with its duties.
func noted(t *testing.T, duties map[string][]string) *directory {
	t.Helper()
	d := newDirectory(time.Second)
	revision := uint64(0)
	for name, knows := range duties {
		value, err := json.Marshal(nodeRecord{Node: Node{Name: name, Weight: 1, Roles: AllRoles()}, Session: "s" + name, Duties: knows})
		if err != nil {
			t.Fatal(err)
		}
		revision++
		d.apply(change{key: keyNode + name, value: value, revision: revision}, time.Now())
	}
	return d
}

func TestADutyGoesToANodeThatKnowsIt(t *testing.T) {
	t.Parallel()
	d := noted(t, map[string][]string{"A": {"old", "both"}, "B": {"both", "new"}, "C": {"both", "new"}})
	got := d.plan(4).duties
	if got["old"] != "A" || got["new"] != "B" && got["new"] != "C" || got["both"] == "" || len(got) != 3 {
		t.Errorf("placed %v", got)
	}
}

func TestDutiesAreSpread(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d"}
	got := noted(t, map[string][]string{"A": all, "B": all}).plan(4).duties
	shares := map[string]int{}
	for node := range maps.Values(got) {
		shares[node]++
	}
	if shares["A"] != 2 || shares["B"] != 2 {
		t.Errorf("four duties on two nodes: %v", got)
	}
}

func TestOldNewsChangeNothing(t *testing.T) {
	t.Parallel()
	d := newDirectory(time.Second)
	now := time.Now()
	record := func(node string) []byte {
		value, err := json.Marshal(holdingRecord{Node: node, Session: "s" + node})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	if !d.apply(change{key: "partition.3", value: record("B"), revision: 9}, now) {
		t.Error("the first news changed nothing")
	}
	for _, revision := range []uint64{8, 9} {
		if d.apply(change{key: "partition.3", value: record("A"), revision: revision}, now) {
			t.Errorf("news of revision %d changed what is at 9", revision)
		}
	}
	if h := d.held[Slot{Partition: 3}]; h.Node != "B" || h.revision != 9 {
		t.Errorf("held %+v", h)
	}
	for _, key := range []string{"partition.x", "later.kind", "partition", "pin.x"} {
		if d.apply(change{key: key, value: []byte("{}"), revision: 10}, now) {
			t.Errorf("key %s changed something", key)
		}
	}
	if d.apply(change{key: "node.A", value: []byte("not json"), revision: 11}, now) {
		t.Error("an unreadable record changed something")
	}
}
