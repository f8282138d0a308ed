package cluster_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/annals-go/annals/cluster"
)

// placeSizes are the clusters that the benchmarks measure.
func placeSizes(b *testing.B, measure func(b *testing.B, partitions, nodes int)) {
	for _, partitions := range []int{128, 4096} {
		for _, nodes := range []int{3, 5, 10, 30, 100} {
			b.Run(fmt.Sprintf("%d-partitions/%d-nodes", partitions, nodes), func(b *testing.B) {
				measure(b, partitions, nodes)
			})
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	placeSizes(b, func(b *testing.B, partitions, nodes int) {
		all := joiners(0, nodes)
		b.ReportAllocs()
		for b.Loop() {
			cluster.Place(partitions, all, nil)
		}
	})
}

// BenchmarkPlaceMoves measures no time but what moves when one node joins, in
// multiples of its share, and the largest load in multiples of the fair one. Run
// it with -benchtime=1000x: each iteration is a join of another cluster.
func BenchmarkPlaceMoves(b *testing.B) {
	placeSizes(b, func(b *testing.B, partitions, nodes int) {
		share := float64(partitions) / float64(nodes+1)
		var moved []float64
		total, load := 0.0, 0
		for run := 0; b.Loop(); run++ {
			all := joiners(run, nodes+1)
			before, after := cluster.Place(partitions, all[:nodes], nil), cluster.Place(partitions, all, nil)
			moved = append(moved, float64(moves(before, after))/share)
			total += moved[run]
			for _, n := range tally(after) {
				load = max(load, n)
			}
		}
		slices.Sort(moved)
		b.ReportMetric(total/float64(len(moved)), "mean-shares/join")
		b.ReportMetric(moved[len(moved)*99/100], "p99-shares/join")
		b.ReportMetric(moved[len(moved)-1], "max-shares/join")
		b.ReportMetric(float64(load)/share, "max-load")
	})
}
