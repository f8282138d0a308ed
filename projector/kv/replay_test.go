package kv_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/replay"
)

// The domain of the tests on a real log: steps of work.
type event interface{ isEvent() }

type stepped struct {
	Step     string `json:"step"`
	Employee string `json:"employee"`
	Amount   int    `json:"amount"`
}

func (stepped) isEvent() {}

var events = store.NewTypes(map[string]event{"stepped": stepped{}})

type tally struct {
	Count  int    `json:"count"`
	Amount int    `json:"amount"`
	Last   string `json:"last"`
}

func fold(_ string, d tally, e store.Recorded[event]) tally {
	s := e.Data.(stepped)
	return tally{Count: d.Count + 1, Amount: d.Amount + s.Amount, Last: s.Step}
}

func viewBy(name string, key func(store.Recorded[event]) string) projector.Documents[event, tally] {
	return projector.Documents[event, tally]{
		Name: name, Types: []string{"work"}, Events: events, Fold: fold,
		Keys: func(e store.Recorded[event]) []string { return []string{key(e)} },
	}
}

func byStream(e store.Recorded[event]) string   { return e.Stream.ID }
func byEmployee(e store.Recorded[event]) string { return e.Data.(stepped).Employee }

// appendWork stores streams of one-event commits, many streams at a time, and
// returns the position of the log's end.
func appendWork(t testing.TB, log store.Log, streams, each int) store.Position {
	t.Helper()
	todo := make(chan int)
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			for i := range todo {
				if err := appendStream(log, fmt.Sprintf("w-%d", i), i, each); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range streams {
		todo <- i
	}
	close(todo)
	writers.Wait()
	tip, err := log.Tip(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return tip
}

func appendStream(log store.Log, id string, n, each int) (err error) {
	var head store.Head
	for i := range each {
		if head, err = appendStep(log, id, head, n, i); err != nil {
			return err
		}
	}
	return nil
}

// appendStep stores the i-th step of the n-th stream.
func appendStep(log store.Log, id string, after store.Head, n, i int) (store.Head, error) {
	step, err := events.Encode(log.Codec(), stepped{Step: fmt.Sprintf("step-%d", i), Employee: fmt.Sprintf("e-%d", (n+i)%60), Amount: n})
	if err != nil {
		return after, err
	}
	return log.Append(context.Background(), &store.Commit{
		Stream: store.StreamID{Type: "work", ID: id}, ID: uuid.New(), After: after, Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "step"}},
		Events:   []store.Event{step.Event(0)},
	})
}

func openLog(t testing.TB, conn *nats.Conn, namespace string, barrier func(context.Context) error) *jetstream.Log {
	t.Helper()
	log, err := jetstream.Open(context.Background(), jetstream.Config{Conn: conn, Namespace: namespace, Barrier: barrier, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func BenchmarkReplay(b *testing.B) {
	const streams, each = 20_000, 5
	server, err := embedded.Start(embedded.Config{Dir: b.TempDir(), Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Shutdown)
	conn := connect(b, server)
	log := openLog(b, conn, "bench", nil)
	tip := appendWork(b, log, streams, each)
	run := 0
	for _, c := range []struct {
		name    string
		memory  bool
		barrier func(context.Context) error
		key     func(store.Recorded[event]) string
	}{
		{"few-keys/file", false, server.Barrier(), byEmployee},
		{"many-keys/file", false, server.Barrier(), byStream},
		{"few-keys/unsynced", false, nil, byEmployee},
		{"many-keys/unsynced", false, nil, byStream},
		{"few-keys/memory", true, nil, byEmployee},
		{"many-keys/memory", true, nil, byStream},
	} {
		b.Run(c.name, func(b *testing.B) {
			var plain, built time.Duration
			for b.Loop() {
				run++
				view := viewBy(fmt.Sprintf("v-%d", run), c.key)
				plain += replay.Bare(b, conn, "ANNALS_bench_events", streams*each)
				built += replay.View(b, log, kv.New(kv.Config{Conn: conn, Namespace: "bench", InMemory: c.memory, Barrier: c.barrier}), view, tip)
			}
			replay.Report(b, b.N*streams*each, built, plain)
		})
	}
}

// BenchmarkVisible measures how long after its append an event can be read in
// a view, with one writer and nothing else going on, and with many writers.
func BenchmarkVisible(b *testing.B) {
	for _, c := range []struct {
		name             string
		memory, unsynced bool
		writers          int
	}{
		{"file/1", false, false, 1},
		{"file/64", false, false, 64},
		{"unsynced/1", false, true, 1},
		{"unsynced/64", false, true, 64},
		{"memory/1", true, false, 1},
		{"memory/64", true, false, 64},
	} {
		b.Run(c.name, func(b *testing.B) { benchVisible(b, c.memory, c.unsynced, c.writers) })
	}
}

func benchVisible(b *testing.B, memory, unsynced bool, writers int) {
	server, err := embedded.Start(embedded.Config{Dir: b.TempDir(), Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Shutdown)
	conn := connect(b, server)
	log := openLog(b, conn, "bench", server.Barrier())
	cfg := kv.Config{Conn: conn, Namespace: "bench", InMemory: memory, Barrier: server.Barrier()}
	if unsynced {
		cfg.Barrier = nil
	}
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: kv.New(cfg),
		Projections: []projector.Definition{viewBy("v", byStream)}, Logger: quiet,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = g.Run(ctx) }()
	var mu sync.Mutex
	var took []time.Duration
	todo := make(chan int)
	var working sync.WaitGroup
	for range writers {
		working.Go(func() {
			for i := range todo {
				key := fmt.Sprintf("s-%d-%d", b.N, i)
				if err := appendStream(log, key, i, 1); err != nil {
					b.Error(err)
				}
				appended := time.Now()
				tip, err := log.Tip(ctx)
				if err == nil {
					_, err = g.Get(ctx, "v", key, tip)
				}
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				took = append(took, time.Since(appended))
				mu.Unlock()
			}
		})
	}
	i := 0
	for b.Loop() {
		todo <- i
		i++
	}
	close(todo)
	working.Wait()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}
