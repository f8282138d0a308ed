package kv_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/replay"
)

// BenchmarkCatchUp brings a view of one worker from nothing to the end of a log
// whose streams grow side by side, as a history's do: 13,110 streams of 20
// events, as many as a bank's loan applications had, and 50,000. Server, log,
// bucket and their shared wait for the disk are in this process. Beside it a bare
// consumer reads the same log and does nothing with it.
func BenchmarkCatchUp(b *testing.B) {
	for _, streams := range []int{13_110, 50_000} {
		const each = 20
		b.Run(fmt.Sprintf("%d-events", streams*each), func(b *testing.B) {
			server, err := embedded.Start(embedded.Config{Dir: b.TempDir(), Logger: quiet})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(server.Shutdown)
			conn := connect(b, server)
			log := openLog(b, conn, "bench", nil)
			tip := appendSideBySide(b, log, streams, each)
			cfg := kv.Config{Conn: conn, Namespace: "bench", Barrier: server.Barrier()}
			for name, key := range map[string]func(store.Recorded[event]) string{"stream": byStream, "employee": byEmployee} {
				b.Run("by-"+name, func(b *testing.B) { benchCatchUp(b, log, cfg, name, key, tip, streams*each) })
			}
		})
	}
}

func benchCatchUp(b *testing.B, log *jetstream.Log, cfg kv.Config, name string, key func(store.Recorded[event]) string, tip store.Position, events int) {
	var plain, built, busy, plainBusy time.Duration
	run, s := 0, kv.New(cfg)
	for b.Loop() {
		run++
		view := viewBy(fmt.Sprintf("%s-%d-%d", name, b.N, run), key)
		busy -= processorTime(b)
		built += replay.View(b, log, s, view, tip)
		now := processorTime(b)
		busy += now
		plain += replay.Bare(b, cfg.Conn, "ANNALS_bench_events", events)
		plainBusy += processorTime(b) - now
		if err := s.Drop(b.Context(), projector.Model{View: view.Name, Version: 1}); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(run * events)
	b.ReportMetric(n/built.Seconds(), "events/s")
	b.ReportMetric(n/plain.Seconds(), "bare/s")
	b.ReportMetric(busy.Seconds()*1e6/n, "cpu-µs/event")
	b.ReportMetric(plainBusy.Seconds()*1e6/n, "bare-cpu-µs/event")
	b.ReportMetric(0, "ns/op")
}

// appendSideBySide stores streams that grow together, a thousand at a time, and
// returns the position of the log's end.
func appendSideBySide(t testing.TB, log store.Log, streams, each int) store.Position {
	t.Helper()
	const writers, together = 64, 16
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for first := w * together; first < streams; first += writers * together {
				heads := make([]store.Head, min(together, streams-first))
				for i := range each {
					for n := range heads {
						var err error
						if heads[n], err = appendStep(log, fmt.Sprintf("w-%d", first+n), heads[n], first+n, i); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}
		})
	}
	all.Wait()
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tip
}
