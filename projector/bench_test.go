package projector_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// BenchmarkCatchUp is what a projection costs by itself: a log and a store in
// memory, 100,000 events.
func BenchmarkCatchUp(b *testing.B) {
	const commits = 100_000
	for name, streams := range map[string]int{"few-keys": 50, "many-keys": 20_000} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			var last store.Position
			for i := range commits {
				last = f.writer.add(fmt.Sprintf("c-%d", i%streams), i)
			}
			view := totals("totals")
			view.Keys = func(e store.Recorded[event]) []string { return []string{e.Stream.ID} }
			b.ReportAllocs()
			for b.Loop() {
				g := newGroup(b, projector.Config{Log: f.log, Store: &projector.Memory{}, Projections: []projector.Definition{view}})
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				go func() { ended <- g.Run(ctx) }()
				if err := g.Wait(ctx, "totals", last); err != nil {
					b.Fatal(err)
				}
				cancel()
				<-ended
			}
			b.ReportMetric(float64(b.N)*commits/b.Elapsed().Seconds(), "events/s")
		})
	}
}
