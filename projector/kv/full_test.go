package kv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// counting counts the commits that were tried.
type counting struct {
	projector.Store
	tried atomic.Int64
}

type countingView struct {
	projector.View
	store *counting
}

func (s *counting) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return countingView{v, s}, err
}

func (v countingView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	v.store.tried.Add(1)
	return v.View.Commit(ctx, w)
}

// A bucket is full. The view says so, and goes on saying so while it tries
// again; once there is room it goes on by itself.
func TestABucketThatIsFull(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	log := openLog(t, conn, "app", nil)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	kept, view := kv.New(kv.Config{Conn: conn, Namespace: "app"}), viewBy("tallies", byStream)
	if _, err := kept.Open(t.Context(), projector.Layout{Model: projector.Model{View: "tallies", Version: 1}}); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes int64) {
		t.Helper()
		bucket, err := js.Stream(t.Context(), "KV_ANNALS_app_view_tallies_v1")
		if err != nil {
			t.Fatal(err)
		}
		cfg := bucket.CachedInfo().Config
		cfg.MaxBytes = bytes
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(4096)
	for i := range 100 {
		if err := appendStream(log, fmt.Sprintf("s-%d", i), i, 2); err != nil {
			t.Fatal(err)
		}
	}
	counted := &counting{Store: kept}
	g := newGroup(t, projector.Config{Log: log, Store: counted, Projections: []projector.Definition{view}, Logger: quiet})
	runUntilEnd(t, g)
	failing := func() string { return g.Status(t.Context())[0].Error }
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); failing() == "" && time.Since(began) < time.Minute; {
		<-look.C
	}
	for named := counted.tried.Load(); counted.tried.Load() < named+3; { // while it tries again
		if got := failing(); !strings.Contains(got, "out of storage: maximum bytes exceeded (10077)") {
			t.Fatalf("the view says %q", got)
		}
		<-look.C
	}
	limit(-1)
	tip, err := log.Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	docs, _ := plainFold(t, log, view, tip)
	if diff := cmp.Diff(docs, readAll(t, g, "tallies", tip)); diff != "" {
		t.Errorf("documents (-want +got):\n%.2000s", diff)
	}
	if got := failing(); got != "" {
		t.Errorf("when there is room, it says %q", got)
	}
}

// A server that has used up what it may store is named, and not waited for.
func TestAServerThatIsFull(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Logger: quiet, MaxStoreBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	v, err := kv.New(kv.Config{Conn: connect(t, server), Namespace: "app"}).Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, body := projector.Checkpoint{Worker: "0"}, []byte(`"`+strings.Repeat("x", 20_000)+`"`)
	for position := store.Position(1); position < 100; position++ {
		c.Position = position
		next, err := v.Commit(ctx, projector.Write{Checkpoint: c, Documents: []projector.Document{{Key: fmt.Sprintf("k-%d", position), Position: position, Document: body}}})
		if err == nil {
			c = next
			continue
		}
		if !errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), "out of storage: insufficient resources (10023)") || ctx.Err() != nil {
			t.Error(err)
		}
		return
	}
	t.Fatal("it took more than it may")
}
