package cluster_test

import (
	"testing"

	"github.com/annals-go/annals/cluster"
)

func TestSingleServesEveryPartitionOfTheNamespace(t *testing.T) {
	t.Parallel()
	p := cluster.Single("a", 4)
	for _, c := range []struct {
		partition int
		node      string
		here      bool
	}{
		{-1, "", false},
		{0, "a", true},
		{3, "a", true},
		{4, "", false},
	} {
		if node, here := p.Owner(c.partition); node != c.node || here != c.here {
			t.Errorf("Owner(%d) = %q, %v; want %q, %v", c.partition, node, here, c.node, c.here)
		}
	}
}

func TestSingleNeverChanges(t *testing.T) {
	t.Parallel()
	select {
	case <-cluster.Single("a", 1).Changed():
		t.Error("the channel of a placement that never changes was closed")
	default:
	}
}

func TestSingleRefusesAPlacementThatServesNothing(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(){
		"no node":       func() { cluster.Single("", 1) },
		"no partitions": func() { cluster.Single("a", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make()
		})
	}
}
