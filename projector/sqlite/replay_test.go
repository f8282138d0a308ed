package sqlite_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/replay"
)

var replayed = flag.Int("replay-documents", 13_110, "documents of BenchmarkReplay, with 20 events each")

var quiet = slog.New(slog.DiscardHandler)

// The domain of the tests on a real log: steps of work.
type event interface{ isEvent() }

type stepped struct {
	Step     string `json:"step"`
	Employee string `json:"employee"`
	Amount   int    `json:"amount"`
}

func (stepped) isEvent() {}

var events = store.NewTypes(map[string]event{"stepped": stepped{}})

// application is as large as what a loan's view keeps of it.
type application struct {
	State    string    `json:"state"`
	Count    int       `json:"count"`
	Amount   int       `json:"amount"`
	Open     []string  `json:"open"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Employee string    `json:"employee"`
}

func fold(_ string, d application, e store.Recorded[event]) application {
	s := e.Data.(stepped)
	if d.Count++; d.Count == 1 {
		d.First = e.Time
	}
	d.State, d.Employee, d.Last, d.Amount = s.Step, s.Employee, e.Time, d.Amount+s.Amount
	if d.Open = append(d.Open, s.Step); len(d.Open) > 4 {
		d.Open = d.Open[1:]
	}
	return d
}

func byStream(e store.Recorded[event]) string   { return e.Stream.ID }
func byEmployee(e store.Recorded[event]) string { return e.Data.(stepped).Employee }

func viewOf(name string, key func(store.Recorded[event]) string) projector.Documents[event, application] {
	return projector.Documents[event, application]{
		Name: name, Types: []string{"work"}, Events: events, Fold: fold,
		Keys: func(e store.Recorded[event]) []string { return []string{key(e)} },
	}
}

func startServer(t testing.TB) (*embedded.Server, *nats.Conn) {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return server, conn
}

func openLog(t testing.TB, conn *nats.Conn) *jetstream.Log {
	t.Helper()
	log, err := jetstream.Open(context.Background(), jetstream.Config{Conn: conn, Namespace: "app", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// appendWork stores streams first to last-1 of one-event commits and returns the position of
// the log's end. As many as open are worked on at once, and their events come in
// no order, as in a business whose cases take weeks.
func appendWork(t testing.TB, log store.Log, first, last, each, open int) store.Position {
	t.Helper()
	const writers = 64
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			todo := newWork(first+w, writers, last, each, max(open/writers, 1))
			for !todo.done() {
				if err := todo.step(log, r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
	tip, err := log.Tip(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return tip
}

// work is a writer's share of the streams.
type work struct {
	next, by, last, each, most int
	open                       []*unfinished
}

type unfinished struct {
	n    int
	done int
	head store.Head
}

func newWork(first, by, last, each, most int) *work {
	return &work{next: first, by: by, last: last, each: each, most: most}
}

func (w *work) done() bool { return w.next >= w.last && len(w.open) == 0 }

// step appends to one of the open streams.
func (w *work) step(log store.Log, r *rand.Rand) (err error) {
	for len(w.open) < w.most && w.next < w.last {
		w.open = append(w.open, &unfinished{n: w.next})
		w.next += w.by
	}
	i := r.IntN(len(w.open))
	s := w.open[i]
	step, err := events.Encode(log.Codec(), stepped{
		Step: fmt.Sprintf("W_step-%d", s.done), Employee: fmt.Sprintf("e-%d", r.IntN(60)), Amount: s.n,
	})
	if err != nil {
		return err
	}
	s.head, err = log.Append(context.Background(), &store.Commit{
		Stream: store.StreamID{Type: "work", ID: fmt.Sprintf("%d", 173688+s.n)}, ID: uuid.New(), After: s.head,
		Time:     time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "step"}},
		Events:   []store.Event{step.Event(0)},
	})
	if s.done++; s.done == w.each {
		w.open = append(w.open[:i], w.open[i+1:]...)
	}
	return err
}

// timed says where the time of a replay goes.
type timed struct {
	projector.Store
	gets, commits time.Duration
	documents     int
}

func (s *timed) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return timedView{v, s}, err
}

type timedView struct {
	projector.View
	of *timed
}

func (v timedView) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	began := time.Now()
	defer func() { v.of.gets += time.Since(began) }()
	return v.View.Get(ctx, keys, since...)
}

func (v timedView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	began := time.Now()
	defer func() { v.of.commits += time.Since(began) }()
	v.of.documents += len(w.Documents)
	return v.View.Commit(ctx, w)
}

// BenchmarkReplay builds a view from a log of 20 events a document, of which
// some are worked on at once, or all: then hardly an event of a commit finds its
// document changed by another.
func BenchmarkReplay(b *testing.B) {
	const each = 20
	streams := *replayed
	for _, open := range []int{1000, streams} {
		b.Run(fmt.Sprintf("open=%d", open), func(b *testing.B) {
			_, conn := startServer(b)
			log := openLog(b, conn)
			tip := appendWork(b, log, 0, streams, each, open)
			kept := sqlite.New(sqlite.Config{Dir: b.TempDir(), Namespace: "app"})
			b.Cleanup(func() { _ = kept.Close() })
			var plain, built, spent time.Duration
			measured := &timed{Store: kept}
			run := 0
			for b.Loop() {
				run++
				plain += replay.Bare(b, conn, "ANNALS_app_events", streams*each)
				before := cpuTime()
				built += replay.View(b, log, measured, viewOf(fmt.Sprintf("v-%d", run), byStream), tip)
				spent += cpuTime() - before
			}
			replay.Report(b, b.N*streams*each, built, plain)
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N*streams*each), "cpu-us/event")
			b.ReportMetric(measured.gets.Seconds()/built.Seconds(), "in-get")
			b.ReportMetric(measured.commits.Seconds()/built.Seconds(), "in-commit")
			b.ReportMetric(float64(measured.documents)/float64(b.N*streams*each), "documents/event")
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v := openView(b, openStore(b, b.TempDir()), projector.Layout{})
			c := projector.Checkpoint{Worker: "0"}
			docs := make([]projector.Document, n)
			for i := range docs {
				docs[i] = doc(fmt.Sprintf("key-%d", i), 1, 1)
			}
			for b.Loop() {
				c = commit(b, v, c, docs...)
			}
		})
	}
}

// BenchmarkApply changes a table, one row an event.
func BenchmarkApply(b *testing.B) {
	v := openView(b, openStore(b, b.TempDir()), projector.Layout{Tables: []string{`CREATE TABLE states (id TEXT PRIMARY KEY, state TEXT, n INTEGER)`}})
	c := load(b, v)
	const rows = 10_000
	before := cpuTime()
	for b.Loop() {
		var err error
		c, err = v.Commit(context.Background(), projector.Write{Checkpoint: c, Apply: func(ctx context.Context, tx *sql.Tx) error {
			for i := range rows {
				_, err := tx.ExecContext(ctx, `INSERT INTO states VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET state = excluded.state, n = n + 1`, fmt.Sprintf("application-%d", i*7919%13000), "accepted")
				if err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N*rows), "cpu-us/row")
	b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkGet(b *testing.B) {
	v := openView(b, openStore(b, b.TempDir()), projector.Layout{})
	docs := make([]projector.Document, 10_000)
	keys := make([]string, len(docs))
	for i := range docs {
		docs[i] = doc(fmt.Sprintf("key-%d", i), 1, i)
		keys[i] = docs[i].Key
	}
	c := commit(b, v, load(b, v), docs...)
	for _, n := range []int{1, 500, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if got, err := v.Get(context.Background(), keys[:n], c); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
		})
	}
	b.Run("list-500", func(b *testing.B) {
		for b.Loop() {
			if got, _, err := v.List(context.Background(), "", 500, c); err != nil || len(got) != 500 {
				b.Fatal(len(got), err)
			}
		}
	})
}
