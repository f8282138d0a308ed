package replay

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// patience bounds one replay: far more than the slowest store takes for what the
// benchmarks store.
const patience = 5 * time.Minute

// View builds a view with a group of its own, and returns how long it took until
// the view had reached upTo.
func View(t testing.TB, log store.Log, kept projector.Store, view projector.Definition, upTo store.Position) time.Duration {
	t.Helper()
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: kept, Projections: []projector.Definition{view}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- g.Run(ctx) }()
	if err := g.Wait(ctx, view.Describe().Name, upTo); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return took
}

// Bare reads the messages of a stream on the server with a plain pull consumer,
// and returns how long it took.
func Bare(t testing.TB, conn *nats.Conn, stream string, messages int) time.Duration {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	consumer, err := js.CreateConsumer(context.Background(), stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for read := 0; read < messages; {
		batch, err := consumer.Fetch(2000, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		before := read
		for range batch.Messages() {
			read++
		}
		if read == before {
			t.Fatalf("bare consumer of %s: nothing came after %d of %d messages: %v", stream, read, messages, batch.Error())
		}
	}
	return time.Since(began)
}

// Report says in a benchmark's metrics how many events a second a view was built
// from, how many a bare consumer read, and the ratio of the two. The time of an
// iteration, which holds both, is left out.
func Report(b *testing.B, events int, built, bare time.Duration) {
	b.Helper()
	rate := func(d time.Duration) float64 { return float64(events) / d.Seconds() }
	b.ReportMetric(rate(built), "events/s")
	b.ReportMetric(rate(bare), "bare/s")
	b.ReportMetric(rate(built)/rate(bare), "of-bare")
	b.ReportMetric(0, "ns/op")
}
