package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	server "github.com/annals-go/annals/test/postgres"
	"github.com/annals-go/annals/test/replay"
)

// The domain of the tests on a log: steps of work.
type event interface{ isEvent() }

type stepped struct {
	Step     string `json:"step"`
	Employee string `json:"employee"`
	Amount   int    `json:"amount"`
}

func (stepped) isEvent() {}

var events = store.NewTypes(map[string]event{"stepped": stepped{}})

type tally struct {
	Count  int      `json:"count"`
	Amount int      `json:"amount"`
	Last   string   `json:"last"`
	By     []string `json:"by"`
}

func fold(_ string, d tally, e store.Recorded[event]) tally {
	s := e.Data.(stepped)
	d.Count++
	d.Amount += s.Amount
	d.Last = s.Step
	if d.By = append(d.By, s.Employee); len(d.By) > 8 {
		d.By = d.By[1:]
	}
	return d
}

func tallies(name string, key func(store.Recorded[event]) string) projector.Documents[event, tally] {
	return projector.Documents[event, tally]{
		Name: name, Types: []string{"work"}, Events: events, Fold: fold,
		Keys: func(e store.Recorded[event]) []string { return []string{key(e)} },
	}
}

func byStream(e store.Recorded[event]) string { return e.Stream.ID }

// appendWork stores streams of one-event commits, so many streams at a time,
// and returns the position of the log's end. The more at a time, the further
// apart are the events of one stream.
func appendWork(t testing.TB, log store.Log, streams, each, atOnce int) store.Position {
	t.Helper()
	todo := make(chan int)
	var writers sync.WaitGroup
	for range atOnce {
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

func appendStream(log store.Log, id string, n, each int) error {
	var head store.Head
	for i := range each {
		step, err := events.Encode(log.Codec(), stepped{Step: fmt.Sprintf("step-%d", i), Employee: fmt.Sprintf("e-%d", (n+i)%60), Amount: n})
		if err != nil {
			return err
		}
		head, err = log.Append(context.Background(), &store.Commit{
			Stream: store.StreamID{Type: "work", ID: id}, ID: uuid.New(), After: head, Time: time.Now().UTC().Truncate(time.Microsecond),
			Commands: []store.Command{{ID: uuid.NewString(), Name: "step"}},
			Events:   []store.Event{step.Event(0)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// openLog starts a NATS server and opens a log on it.
func openLog(t testing.TB) (*jetstream.Log, *nats.Conn) {
	t.Helper()
	nats, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Shutdown)
	conn, err := nats.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	log, err := jetstream.Open(context.Background(), jetstream.Config{Conn: conn, Namespace: "bench", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log, conn
}

// streamsFlag is small, so that the benchmark runs along with others; the loan
// example's history has 13,110 streams, a million events are 50,000.
var streamsFlag = flag.Int("streams", 2000, "how many streams of 20 events BenchmarkReplay has")

// BenchmarkReplay builds a view of 20 events a document, as many as the loan
// example has: with the events of a document near each other in the log, and
// with those of thousands of documents between them.
func BenchmarkReplay(b *testing.B) {
	const each = 20
	streams := *streamsFlag
	kept := server.Shared(b)
	for _, c := range []struct {
		name   string
		atOnce int
	}{{"near", 64}, {"far", 8192}} {
		log, conn := openLog(b)
		tip := appendWork(b, log, streams, each, c.atOnce)
		run := 0
		b.Run(c.name, func(b *testing.B) {
			var plain, built time.Duration
			s := openWith(b, postgres.Config{URL: kept.URL(), Namespace: namespace()})
			for b.Loop() {
				run++
				plain += replay.Bare(b, conn, "ANNALS_bench_events", streams*each)
				built += replay.View(b, log, s, tallies(fmt.Sprintf("v-%d", run), byStream), tip)
			}
			replay.Report(b, b.N*streams*each, built, plain)
		})
	}
}
