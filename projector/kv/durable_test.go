package kv_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// disk is a barrier that does what the test says.
type disk struct {
	waits atomic.Int64
	wait  func(context.Context) error
}

func (d *disk) barrier(ctx context.Context) error {
	d.waits.Add(1)
	if d.wait == nil {
		return nil
	}
	return d.wait(ctx)
}

func openWith(t *testing.T, cfg kv.Config) projector.View {
	t.Helper()
	v, err := kv.New(cfg).Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func totalsStream(t *testing.T, conn *nats.Conn) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_ANNALS_app_view_totals_v1")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// positionsOf returns the positions of all values that the bucket keeps of a
// document, the last one last.
func positionsOf(t *testing.T, conn *nats.Conn, key string) []string {
	t.Helper()
	stream, subject := totalsStream(t, conn), "$KV.ANNALS_app_view_totals_v1.d."+key
	var positions []string
	for next := uint64(1); ; {
		m, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return positions
		}
		if err != nil {
			t.Fatal(err)
		}
		positions, next = append(positions, m.Header.Get("Annals-Position")), m.Sequence+1
	}
}

func at(position store.Position, keys ...string) []projector.Document {
	var docs []projector.Document
	for _, key := range keys {
		docs = append(docs, projector.Document{Key: key, Position: position, Document: fmt.Appendf(nil, `{"n":%d}`, position)})
	}
	return docs
}

func commitAt(t *testing.T, v projector.View, c projector.Checkpoint, position store.Position, keys ...string) projector.Checkpoint {
	t.Helper()
	c.Position = position
	c, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: at(position, keys...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What was synced last is in the bucket until what replaces it is synced, and
// Commit returns no sooner.
func TestCommitWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	d := &disk{}
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app", Barrier: d.barrier})
	c := projector.Checkpoint{Worker: "0"}
	synced, now := "", "" // positions of the last commit that is on the disk, and of the one that waits
	d.wait = func(context.Context) error {
		want := []string{now}
		if synced != "" {
			want = []string{synced, now}
		}
		if diff := cmp.Diff(want, positionsOf(t, conn, "a")); diff != "" {
			t.Errorf("while %s is being synced, kept (-want +got):\n%s", now, diff)
		}
		synced = now
		return nil
	}
	for position := store.Position(1); position < 6; position++ {
		now = fmt.Sprint(position)
		if c = commitAt(t, v, c, position, "a", "b"); synced != now {
			t.Errorf("%d was not synced when Commit returned", position)
		}
	}
	if n := d.waits.Load(); n != 5 {
		t.Errorf("%d syncs of 5 commits", n)
	}
}

// A writer does not build on what may not be on the disk: not on what another
// stored, nor on what it failed to wait for.
func TestLoadWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	broken := errors.New("broken")
	d := &disk{wait: func(context.Context) error { return broken }}
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app", Barrier: d.barrier})
	c, err := v.Commit(t.Context(), projector.Write{Checkpoint: projector.Checkpoint{Worker: "0", Position: 1}, Documents: at(1, "a")})
	if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, broken) || c.Revision != 0 {
		t.Errorf("commit: %+v, %v", c, err)
	}
	if c, err := v.Load(t.Context(), "0"); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, broken) {
		t.Errorf("load: %+v, %v", c, err)
	}
	d.wait = nil
	if c, err := v.Load(t.Context(), "0"); err != nil || c.Position != 1 || d.waits.Load() != 3 {
		t.Errorf("load: %+v, %v after %d syncs", c, err, d.waits.Load())
	}
}

func TestMemoryWaitsForNoDisk(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	d := &disk{}
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app", InMemory: true, Barrier: d.barrier})
	commitAt(t, v, projector.Checkpoint{Worker: "0"}, 1, "a")
	if n := d.waits.Load(); n != 0 {
		t.Errorf("%d syncs", n)
	}
}

// A bucket of one value for each key keeps what it has, and two from then on.
func TestOpenKeepsTwoValues(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app"})
	c := commitAt(t, v, projector.Checkpoint{Worker: "0"}, 1, "a")
	cfg := totalsStream(t, conn).CachedInfo().Config
	cfg.MaxMsgsPerSubject = 1
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c = commitAt(t, v, c, 2, "a")

	v = openWith(t, kv.Config{Conn: conn, Namespace: "app"})
	cfg.MaxMsgsPerSubject = 2
	if diff := cmp.Diff(cfg, totalsStream(t, conn).CachedInfo().Config); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got, err := v.Load(t.Context(), "0"); err != nil || cmp.Diff(c, got) != "" {
		t.Errorf("checkpoint is %+v, %v, want %+v", got, err, c)
	}
	commitAt(t, v, c, 3, "a")
	if diff := cmp.Diff([]string{"2", "3"}, positionsOf(t, conn, "a")); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// A disk may keep the end of a commit, which has the checkpoint, and lose
// documents before it. The checkpoint before that one counts then.
func TestCommitThatLostDocuments(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	v := openWith(t, kv.Config{Conn: conn, Namespace: "app"})
	lose := func(key string) {
		t.Helper()
		if err := totalsStream(t, conn).Purge(t.Context(), jetstream.WithPurgeSubject("$KV.ANNALS_app_view_totals_v1.d."+key)); err != nil {
			t.Fatal(err)
		}
	}
	load := func(want projector.Checkpoint) projector.Checkpoint {
		t.Helper()
		got, err := v.Load(t.Context(), "0")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("checkpoint: %v (-want +got):\n%s", err, diff)
		}
		return got
	}
	none := projector.Checkpoint{Worker: "0"}
	first := commitAt(t, v, none, 1, "a", "b", "c")
	lose("b")
	torn := load(projector.Checkpoint{Worker: "0", Furthest: 1, Revision: first.Revision})
	torn.Furthest = 0
	whole := commitAt(t, v, torn, 2, "a", "b", "c")
	load(whole)
	for _, key := range []string{"first", "middle", "last"} {
		now := commitAt(t, v, whole, whole.Position+1, "a", "first", "b", "middle", "c", "last")
		lose(key)
		want := whole
		want.Furthest, want.Revision = now.Position, now.Revision
		torn := load(want)
		torn.Furthest = 0
		again := commitAt(t, v, torn, now.Position, key)
		load(again)
		whole = commitAt(t, v, again, now.Position+1)
		load(whole) // a checkpoint alone has nothing to lose
	}
	// The checkpoint before is one whose commit lost documents, too.
	again := commitAt(t, v, whole, 50, "x", "a")
	lose("x")
	whole.Revision = again.Revision
	again = commitAt(t, v, whole, 51, "y", "a")
	lose("y")
	load(projector.Checkpoint{Worker: "0", Furthest: 51, Revision: again.Revision})
}
