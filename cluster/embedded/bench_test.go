package embedded

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BenchmarkDurable compares the ways to sync: each writer publishes 256 bytes
// to its own subject, on the condition that it wrote the last message there, and waits until
// that is as durable as the way makes it.
func BenchmarkDurable(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		for _, sync := range []Sync{SyncNone, SyncBarrier, SyncAlways} {
			b.Run(fmt.Sprintf("%s/%d", sync, writers), func(b *testing.B) { benchmarkDurable(b, sync, writers) })
		}
	}
}

func benchmarkDurable(b *testing.B, sync Sync, writers int) {
	s := start(b, Config{Dir: b.TempDir(), Sync: sync})
	nc, err := s.Connect()
	js := streams(b, nc, err)
	createStream(b, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	wait := s.Barrier()
	if wait == nil {
		wait = func(context.Context) error { return nil }
	}
	b.ResetTimer()
	began := time.Now()
	waits := writeAll(b, nc, wait, writers)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "commits/s")
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
}

// writeAll spreads b.N commits over the writers and returns how long each took.
func writeAll(b *testing.B, nc *nats.Conn, wait func(context.Context) error, writers int) []time.Duration {
	b.Helper()
	all := make([][]time.Duration, writers)
	var group sync.WaitGroup
	for w := range writers {
		n := b.N / writers
		if w < b.N%writers {
			n++
		}
		group.Go(func() { all[w] = write(b, nc, wait, w, n) })
	}
	group.Wait()
	return slices.Concat(all...)
}

func write(b *testing.B, nc *nats.Conn, wait func(context.Context) error, writer, n int) []time.Duration {
	waits := make([]time.Duration, 0, n)
	m := nats.NewMsg("s." + strconv.Itoa(writer))
	m.Data = make([]byte, 256)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Error(err)
		return waits
	}
	last := uint64(0)
	for range n {
		began := time.Now()
		ack, err := js.PublishMsg(context.Background(), m, jetstream.WithExpectLastSequencePerSubject(last))
		if err == nil {
			err = wait(context.Background())
		}
		if err != nil {
			b.Error(err)
			return waits
		}
		last = ack.Sequence
		waits = append(waits, time.Since(began))
	}
	return waits
}
