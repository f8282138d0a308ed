package cluster

import (
	"testing"
	"time"
)

// FuzzDirectory: whatever other nodes, of whatever build, write into the directory, it
// takes what makes sense, and takes nothing twice.
func FuzzDirectory(f *testing.F) {
	for _, key := range []string{"node.a", "part.3", "partition.3", "duty.view", "cordon.a", "pin.3", "pin.x", "partition.-1", "partition.99999999999999999999", "later.x", "node.", ""} {
		for _, value := range []string{`{"session":"01890a5d-ac96-774b-bcce-b302099a8057"}`, `{}`, `null`, `[`, ``, `{"node":7}`, `{"owner":"a","session":"x"}`, `a`} {
			f.Add(key, []byte(value), uint64(7))
		}
	}
	f.Fuzz(func(t *testing.T, key string, value []byte, revision uint64) {
		d := newDirectory(time.Second)
		now := time.Unix(1_700_000_000, 0)
		c := change{key: key, value: value, revision: revision}
		d.apply(change{key: "node.a", value: []byte(`{}`), revision: 1}, now)
		d.apply(c, now)
		if d.apply(c, now.Add(time.Second)) && revision > 0 && len(d.nodes) > 0 && key != "" && len(d.held) > 0 {
			t.Errorf("%q %s changed something twice", key, value)
		}
		if len(d.nodes) > 2 || len(d.held) > 1 || len(d.pins) > 1 || len(d.cordons) > 1 {
			t.Errorf("one change made more of it: %+v", d)
		}
	})
}
