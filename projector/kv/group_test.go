package kv_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

var seed = flag.Uint64("seed", 0, "of the random tests, 0 for another each time")

// A group is stopped, and its connection broken in the middle of writes, while
// the log grows. In the end the view is a plain fold of the log.
func TestExactlyOnceOnOneServer(t *testing.T) {
	t.Parallel()
	exactlyOnce(t, startServer(t), 1)
}

func TestExactlyOnceOnThreeServers(t *testing.T) {
	t.Parallel()
	exactlyOnce(t, sharedThree(t), 3)
}

func exactlyOnce(t *testing.T, to urls, replicas int) {
	kept := openOn(to, replicas, false)(t).(*flakyStore)
	log := openLog(t, kept.conn, kept.namespace, nil)
	view := viewBy("tallies", byStream)
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	r := rand.New(rand.NewPCG(from, from))
	for life := range 6 {
		stop := start(t, projector.Config{Log: log, Store: kept, Projections: []projector.Definition{view}, Logger: quiet})
		for i := range 4 {
			for n := range 30 {
				if err := appendStream(log, fmt.Sprintf("s-%d-%d-%d", life, i, n), n, 1+r.IntN(3)); err != nil {
					t.Fatal(err)
				}
			}
			kept.lossy.set(part(r.IntN(3)))
		}
		kept.lossy.set(nothing)
		stop()
	}
	foldsAll(t, log, kept, view)
}

// A wait for the disk that fails leaves open what was stored: the group looks,
// and nothing is applied twice.
func TestExactlyOnceOnADiskThatIsLate(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	log := openLog(t, conn, "app", nil)
	var waits atomic.Int64
	late := func(context.Context) error {
		if waits.Add(1)%3 == 0 {
			return context.DeadlineExceeded
		}
		return nil
	}
	kept, view := kv.New(kv.Config{Conn: conn, Namespace: "app", Barrier: late}), viewBy("tallies", byEmployee)
	for life := 0; waits.Load() < 9; life++ { // until three of them have failed
		if life == 100 {
			t.Fatalf("only %d waits for the disk in %d lives", waits.Load(), life)
		}
		stop := start(t, projector.Config{Log: log, Store: kept, Projections: []projector.Definition{view}, Logger: quiet})
		for n := range 10 {
			if err := appendStream(log, fmt.Sprintf("s-%d-%d", life, n), n, 2); err != nil {
				t.Fatal(err)
			}
		}
		stop()
	}
	foldsAll(t, log, kept, view)
}

// foldsAll brings the view up to date and compares it with a plain fold.
func foldsAll(t *testing.T, log store.Log, kept projector.Store, view projector.Documents[event, tally]) {
	t.Helper()
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := newGroup(t, projector.Config{Log: log, Store: kept, Projections: []projector.Definition{view}, Logger: quiet})
	runUntilEnd(t, g)
	docs, proof := plainFold(t, log, view, tip)
	got, status := readAll(t, g, view.Name, tip), g.Status(t.Context())[0]
	if diff := cmp.Diff(docs, got); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
	if status.Events != proof.Events || status.Hash != proof.Hash.String() {
		t.Errorf("%d events, hash %s; want %d, %s", status.Events, status.Hash, proof.Events, proof.Hash)
	}
}

func newGroup(t testing.TB, cfg projector.Config) *projector.Group {
	t.Helper()
	g, err := projector.NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func start(t testing.TB, cfg projector.Config) (stop func()) {
	t.Helper()
	g := newGroup(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func runUntilEnd(t testing.TB, g *projector.Group) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// plainFold folds the log by hand.
func plainFold(t testing.TB, log store.Log, view projector.Documents[event, tally], tip store.Position) (map[string]tally, projector.Proof) {
	t.Helper()
	docs, proof := map[string]tally{}, projector.Proof{}
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	for at := store.Position(0); at < tip; {
		commits, err := feed.Next(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			at = c.Last()
			for e := range c.Recorded() {
				data, err := events.Decode(log.Codec(), e.Type, e.Schema, e.Data)
				if err != nil {
					t.Fatal(err)
				}
				typed := store.Recorded[event]{Stream: e.Stream, Data: data}
				for _, key := range view.Keys(typed) {
					docs[key] = view.Fold(key, docs[key], typed)
				}
				proof.Add(e.Position, e.ID)
			}
		}
	}
	return docs, proof
}

func readAll(t testing.TB, g *projector.Group, view string, tip store.Position) map[string]tally {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	docs := map[string]tally{}
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := g.List(ctx, view, cursor, 100, tip)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			var v tally
			if err := json.Unmarshal(d.Document, &v); err != nil {
				t.Fatal(err)
			}
			docs[d.Key] = v
		}
		cursor = next
	}
	return docs
}

// What a command wrote is read back with its position, at once.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server)
	log := openLog(t, conn, "app", server.Barrier())
	g := newGroup(t, projector.Config{
		Log: log, Store: kv.New(kv.Config{Conn: conn, Namespace: "app"}), Logger: quiet,
		Projections: []projector.Definition{viewBy("tallies", byStream)},
	})
	runUntilEnd(t, g)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 50 {
		key := fmt.Sprintf("s-%d", i)
		if err := appendStream(log, key, i, 2); err != nil {
			t.Fatal(err)
		}
		tip, err := log.Tip(ctx)
		if err != nil {
			t.Fatal(err)
		}
		d, err := g.Get(ctx, "tallies", key, tip)
		if err != nil || d.Position != tip {
			t.Fatalf("document %s is %+v, %v; want position %d", key, d, err, tip)
		}
	}
}
