package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/replay"
)

// A group is stopped in the middle of catching up and its store closed, again
// and again, while the log grows. In the end the view is a plain fold of the log.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	r := rand.New(rand.NewPCG(from, from))
	_, conn := startServer(t)
	log := openLog(t, conn)
	dir, view := t.TempDir(), viewOf("employees", byEmployee)
	var tip store.Position
	for life := range 6 {
		tip = appendWork(t, log, 100*life, 100*(life+1), 3, 100)
		runFor(t, log, dir, view, time.Duration(r.IntN(40_000))*time.Microsecond)
	}
	kept := openStore(t, dir)
	replay.View(t, log, kept, view, tip)
	v := openView(t, kept, projector.Layout{Model: projector.Model{View: "employees", Version: 1}})
	docs, proof := plainFold(t, log, view, tip)
	c := load(t, v)
	if c.Proof != proof {
		t.Errorf("the proof is %+v, want %+v", c.Proof, proof)
	}
	if diff := cmp.Diff(docs, readAll(t, v, c)); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
}

// runFor runs a group with a store of its own for so long, or until it is told.
func runFor(t *testing.T, log store.Log, dir string, view projector.Definition, long time.Duration) {
	t.Helper()
	kept := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: kept, Projections: []projector.Definition{view}, Logger: quiet,
		BatchCommits: 20, FlushEvery: time.Millisecond, CachedDocuments: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}

func plainFold(t *testing.T, log store.Log, view projector.Documents[event, application], tip store.Position) (map[string]application, projector.Proof) {
	t.Helper()
	docs, proof := map[string]application{}, projector.Proof{}
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
				typed := store.Recorded[event]{Stream: e.Stream, Time: e.Time, Data: data}
				for _, key := range view.Keys(typed) {
					docs[key] = view.Fold(key, docs[key], typed)
				}
				proof.Add(e.Position, e.ID)
			}
		}
	}
	return docs, proof
}

func readAll(t *testing.T, v projector.View, since projector.Checkpoint) map[string]application {
	t.Helper()
	docs := map[string]application{}
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := v.List(within(t), cursor, 100, since)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			var a application
			if err := json.Unmarshal(d.Document, &a); err != nil {
				t.Fatal(fmt.Errorf("document %s: %w", d.Key, err))
			}
			docs[d.Key] = a
		}
		cursor = next
	}
	return docs
}
