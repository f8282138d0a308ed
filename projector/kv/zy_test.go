package kv_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

func TestZCommitLatency(t *testing.T) {
	server, _ := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet})
	defer server.Shutdown()
	conn := connect(t, server)
	s := kv.New(kv.Config{Conn: conn, Namespace: "bench"})
	v, err := s.Open(context.Background(), "v", 1)
	if err != nil {
		t.Fatal(err)
	}
	c := projector.Checkpoint{Worker: "0"}
	for _, same := range []bool{true, false} {
		var took []time.Duration
		for i := range 1000 {
			key := "k"
			if !same {
				key = fmt.Sprintf("k-%d", i)
			}
			c.Position += 1024
			b := time.Now()
			c, err = v.Commit(context.Background(), c, []projector.Document{{Key: key, Position: c.Position, Document: []byte(`{}`)}})
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(b))
		}
		slices.Sort(took)
		t.Log(same, took[100], took[500], took[900], took[950], took[990], took[999])
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, linger := range []time.Duration{-1, 8 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond} {
		b.Run(linger.String(), func(b *testing.B) {
			server, _ := embedded.Start(embedded.Config{Dir: b.TempDir(), Logger: quiet})
			defer server.Shutdown()
			conn := connect(b, server)
			log := openLog(b, conn, "bench", server.Barrier())
			g, err := projector.NewGroup(projector.Config{
				Log: unfiltered{log}, Store: kv.New(kv.Config{Conn: conn, Namespace: "bench"}), MaxLinger: linger,
				Projections: []projector.Definition{viewBy("v1", byStream), viewBy("v2", byEmployee), viewBy("v3", byEmployee), viewBy("v4", byEmployee)}, Logger: quiet,
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() { _ = g.Run(ctx) }()
			for b.Loop() {
				var r0, r1 syscall.Rusage
				syscall.Getrusage(0, &r0)
				began := time.Now()
				tip := appendWork(b, log, 8000, 5)
				appended := time.Since(began)
				for _, v := range []string{"v1", "v2", "v3", "v4"} {
					if err := g.Wait(ctx, v, tip); err != nil {
						b.Fatal(err)
					}
				}
				syscall.Getrusage(0, &r1)
				cpu := func(r syscall.Rusage) float64 { return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9 }
				b.ReportMetric(cpu(r1)-cpu(r0), "cpu-s")
				b.ReportMetric(40000/appended.Seconds(), "appends/s")
				b.ReportMetric(1000*(time.Since(began)-appended).Seconds(), "behind-ms")
			}
		})
	}
}
