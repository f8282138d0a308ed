package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

var seed = flag.Uint64("seed", 0, "of the random tests, 0 for another each time")

func random(t *testing.T) *rand.Rand {
	t.Helper()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	return rand.New(rand.NewPCG(from, from))
}

// numbered are documents that all say the same.
func numbered(n store.Position) []projector.Document {
	var docs []projector.Document
	for i := range 40 {
		docs = append(docs, projector.Document{Key: fmt.Sprintf("k-%d", i), Position: n, Document: fmt.Appendf(nil, `{"n":%d}`, n)})
	}
	return docs
}

// writeUntilError commits again and again, and returns the last commit that
// was acknowledged.
func writeUntilError(ctx context.Context, v projector.View, c projector.Checkpoint) (projector.Checkpoint, error) {
	for {
		next := c
		next.Position++
		next, err := v.Commit(ctx, projector.Write{Checkpoint: next, Documents: numbered(next.Position)})
		if err != nil {
			return c, err
		}
		c = next
	}
}

// The server is killed in the middle of commits. What was acknowledged is
// there, and the documents are those of the checkpoint.
func TestServerIsKilledBetweenAnyTwoBytes(t *testing.T) {
	t.Parallel()
	own, r := server.Own(t), random(t)
	s := openWith(t, postgres.Config{URL: own.URL(), Namespace: namespace()})
	v := viewOf(t, s, projector.Layout{Model: totals})
	c := projector.Checkpoint{Worker: "0"}
	for round := range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		type end struct {
			c   projector.Checkpoint
			err error
		}
		ended := make(chan end, 1)
		go func() {
			last, err := writeUntilError(ctx, v, c)
			ended <- end{last, err}
		}()
		waitFor(t, func() bool {
			now, err := v.Load(ctx, "0")
			return err == nil && now.Position >= c.Position+store.Position(1+r.IntN(40))
		})
		if err := own.Kill(); err != nil {
			t.Fatal(err)
		}
		got := <-ended
		cancel()
		if !errors.Is(got.err, store.ErrUnavailable) && !errors.Is(got.err, store.ErrUnknown) {
			t.Fatalf("round %d: commit: %v", round, got.err)
		}
		if err := own.Start(); err != nil {
			t.Fatal(err)
		}
		now, err := v.Load(t.Context(), "0")
		if err != nil {
			t.Fatal(err)
		}
		if now.Position < got.c.Position || now.Position > got.c.Position+1 {
			t.Fatalf("round %d: the checkpoint is at %d, acknowledged was %d", round, now.Position, got.c.Position)
		}
		docs, _, err := v.List(t.Context(), "", projector.MaxPage)
		if err != nil || len(docs) != 40 {
			t.Fatalf("round %d: %d documents, %v", round, len(docs), err)
		}
		for _, d := range docs {
			if d.Position != now.Position || string(d.Document) != fmt.Sprintf(`{"n":%d}`, now.Position) {
				t.Errorf("round %d: document %+v at checkpoint %d", round, d, now.Position)
			}
		}
		c = now
	}
}

// waitFor waits for a condition.
func waitFor(t testing.TB, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was waited for did not come")
		}
	}
}

// The server goes and comes back, in good order and not, while the log grows.
// The view waits for it, parks nothing, and is a plain fold of the log in the end.
func TestProjectionOutlivesTheServer(t *testing.T) {
	t.Parallel()
	own, r := server.Own(t), random(t)
	log := store.NewMemory(store.MemoryConfig{})
	s := openWith(t, postgres.Config{URL: own.URL(), Namespace: namespace()})
	view := tallies("tallies", byStream)
	g, err := projector.NewGroup(projector.Config{Log: log, Store: s, Projections: []projector.Definition{view}, Logger: quiet, CommitTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, g)
	n := 0
	more := func() store.Position {
		for range 30 {
			n++
			if err := appendStream(log, fmt.Sprintf("s-%d", n), n, 1+r.IntN(4)); err != nil {
				t.Fatal(err)
			}
		}
		tip, err := log.Tip(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return tip
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for round := range 4 {
		if err := g.Wait(ctx, view.Name, more()); err != nil {
			t.Fatal(err)
		}
		end := own.Kill
		if round%2 == 1 {
			end = own.Stop
		}
		tip := more()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		more()
		waitFor(t, func() bool { return g.Status(ctx)[0].State == projector.StateFailed })
		if err := own.Start(); err != nil {
			t.Fatal(err)
		}
		if err := g.Wait(ctx, view.Name, tip); err != nil {
			t.Fatal(err)
		}
	}
	tip := more()
	if err := g.Wait(ctx, view.Name, tip); err != nil {
		t.Fatal(err)
	}
	v := viewOf(t, s, projector.Layout{Model: projector.Model{View: view.Name, Version: g.Status(ctx)[0].Version}})
	if notes, err := v.Notes(ctx, "0"); err != nil || len(notes) != 0 {
		t.Errorf("something was parked: %v, %v", notes, err)
	}
	foldsAll(t, log, g, v, view, tip)
}

func runUntilEnd(t testing.TB, g *projector.Group) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// foldsAll compares the view with a plain fold of the log.
func foldsAll(t *testing.T, log store.Log, g *projector.Group, v projector.View, view projector.Documents[event, tally], tip store.Position) {
	t.Helper()
	want, proof := map[string]tally{}, projector.Proof{}
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
					want[key] = view.Fold(key, want[key], typed)
				}
				proof.Add(e.Position, e.ID)
			}
		}
	}
	got := map[string]tally{}
	for cursor, more := "", true; more; more = cursor != "" {
		var docs []projector.Document
		if docs, cursor, err = v.List(t.Context(), cursor, 100); err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			var value tally
			if err := json.Unmarshal(d.Document, &value); err != nil {
				t.Fatal(err)
			}
			got[d.Key] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
	if status := g.Status(t.Context())[0]; status.Events != proof.Events || status.Hash != proof.Hash.String() {
		t.Errorf("%d events, hash %s; want %d, %s", status.Events, status.Hash, proof.Events, proof.Hash)
	}
}
