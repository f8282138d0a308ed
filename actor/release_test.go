package actor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// heldSnapshots lets a test hold back what is saved.
type heldSnapshots struct {
	store.Snapshots
	saves atomic.Int64

	mu   sync.Mutex
	held chan struct{} // nil: nothing is held
}

func (h *heldSnapshots) Save(ctx context.Context, s *store.Snapshot) error {
	h.saves.Add(1)
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
		}
	}
	return h.Snapshots.Save(ctx, s)
}

func (h *heldSnapshots) hold() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := make(chan struct{})
	h.held = held
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held = nil
		close(held)
	}
}

// releasing calls Release in a goroutine and returns what is closed at its end.
func (b leasedBench) releasing(ctx context.Context, id string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.system.Release(ctx, partitionOf(id))
	}()
	return done
}

func (b leasedBench) closed(t *testing.T, id string) {
	t.Helper()
	eventually(t, "the partition is closed", func() bool {
		_, err := b.sender.Execute(t.Context(), id, touch{})
		return errors.Is(err, actor.ErrMoved)
	})
}

func TestReleaseExecutesWhatIsQueuedAndSaves(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	ids := inPartition("a", 4)
	for _, id := range ids[:3] {
		b.fill(t, id, 20)
	}
	b.fill(t, ids[3], 2)
	b.fill(t, "b", 20) // in another partition
	entered, release := b.hold()
	inTurn := b.submit(t, deposits("a", "1"))
	<-entered
	queued := b.submit(t, deposits("a", "2"))
	released := b.releasing(t.Context(), "a")
	b.closed(t, ids[1])
	b.closed(t, "a") // at once, although its actor is busy
	// One at least: the other may have answered its last command and not yet be idle.
	eventually(t, "the idle actors are saved while the others end", func() bool {
		return slices.ContainsFunc(ids[1:3], func(id string) bool {
			snap, ok := b.snapshot(t, id)
			return ok && snap.Head.Version == 20
		})
	})
	select {
	case <-released:
		t.Fatal("released with a turn under way")
	default:
	}
	release()
	if one, two := <-inTurn, <-queued; one.err != nil || two.err != nil || two.result.Version != 22 {
		t.Fatalf("got %+v and %+v", one, two)
	}
	<-released
	for id, want := range map[string]uint64{"a": 22, ids[1]: 20, ids[2]: 20} {
		if snap, ok := b.snapshot(t, id); !ok || snap.Head.Version != want || snap.Epoch != ownEpoch {
			t.Errorf("snapshot of %s: %+v, want version %d", id, snap, want)
		}
	}
	for _, id := range []string{ids[3], "b"} {
		if _, ok := b.snapshot(t, id); ok {
			t.Errorf("%s was saved", id)
		}
	}
	if n := b.system.Active(); n != 1 {
		t.Errorf("%d actors, want the one of the other partition", n)
	}
	b.closed(t, "a")
	b.must(t, "b", deposit{Cents: 1})

	b.system.Open(partitionOf("a"))
	if got := b.must(t, "a", deposit{Cents: 1}); got.Version != 23 {
		t.Errorf("opened again: %+v", got)
	}
}

func TestReleaseWaitsForSnapshotsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory()
		snapshots := &heldSnapshots{Snapshots: memory}
		b := newLeased(t, memory, func(c *actor.Config) { c.Snapshots = snapshots; c.SnapshotEvery = 10 })
		defer b.stop()
		release := snapshots.hold()
		b.fill(t, "a", 12) // the snapshot at version 10 is on its way
		synctest.Wait()
		if n := snapshots.saves.Load(); n != 1 {
			t.Fatalf("%d snapshots are on their way", n)
		}
		released := b.releasing(t.Context(), "a")
		synctest.Wait()
		select {
		case <-released:
			t.Fatal("released while a snapshot is being written")
		default:
		}
		release()
		<-released
		if snap, ok := b.snapshot(t, "a"); !ok || snap.Head.Version != 10 {
			t.Fatalf("snapshot %+v", snap)
		}
		if n := snapshots.saves.Load(); n != 1 {
			t.Errorf("%d snapshots: two events are not worth another", n)
		}
	})
}

// An actor that is far ahead of the snapshot being written is saved once more.
func TestReleaseSavesAgainWhatRanAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory()
		snapshots := &heldSnapshots{Snapshots: memory}
		b := newLeased(t, memory, func(c *actor.Config) { c.Snapshots = snapshots; c.SnapshotEvery = 10 })
		defer b.stop()
		release := snapshots.hold()
		b.fill(t, "a", 25)
		released := b.releasing(t.Context(), "a")
		synctest.Wait()
		if n := snapshots.saves.Load(); n != 1 {
			t.Fatalf("%d snapshots of one actor at once", n)
		}
		release()
		<-released
		if snap, ok := b.snapshot(t, "a"); !ok || snap.Head.Version != 25 {
			t.Fatalf("snapshot %+v", snap)
		}
	})
}

func TestReleaseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory()
		snapshots := &heldSnapshots{Snapshots: memory}
		b := newLeased(t, memory, func(c *actor.Config) { c.Snapshots = snapshots })
		defer b.stop()
		letSave := snapshots.hold()
		defer letSave()
		ids := inPartition("a", 2)
		b.fill(t, "a", 20)
		b.fill(t, ids[1], 20)
		entered, release := b.hold()
		inTurn := b.submit(t, deposits("a", "1"))
		<-entered
		queued := b.submit(t, deposits("a", "2"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		b.system.Release(ctx, partitionOf("a"))
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		if got := <-queued; !errors.Is(got.err, actor.ErrMoved) {
			t.Errorf("queued: %+v", got)
		}
		if n := b.system.Active(); n != 0 {
			t.Errorf("%d actors", n)
		}
		b.lease.set(ownEpoch, false)
		release()
		if got := <-inTurn; !errors.Is(got.err, store.ErrUnknown) {
			t.Errorf("in its turn: %+v", got)
		}
	})
}

func TestReleaseOfWhatNeedsNoSnapshotSavesNothing(t *testing.T) {
	t.Parallel()
	memory := newMemory()
	snapshots := &heldSnapshots{Snapshots: memory}
	b := newLeased(t, memory, func(c *actor.Config) { c.Snapshots = snapshots })
	for _, id := range inPartition("a", 20) {
		b.fill(t, id, 3)
	}
	b.system.Release(t.Context(), partitionOf("a"))
	if n := snapshots.saves.Load(); n != 0 || b.system.Active() != 0 {
		t.Fatalf("%d snapshots, %d actors", n, b.system.Active())
	}
	b.system.Release(t.Context(), partitionOf("a")) // again, and of what is empty
}

func TestDropAnswersTheQueueAndForgets(t *testing.T) {
	t.Parallel()
	memory := newMemory()
	snapshots := &heldSnapshots{Snapshots: memory}
	b := newLeased(t, memory, func(c *actor.Config) { c.Snapshots = snapshots; c.SnapshotEvery = 10 })
	b.fill(t, "a", 9)
	entered, release := b.hold()
	inTurn := b.submit(t, deposits("a", "1"))
	<-entered
	queued := b.submit(t, deposits("a", "2"))
	b.lease.set(ownEpoch, false)
	b.system.Drop(partitionOf("a"))
	if got := <-queued; !errors.Is(got.err, actor.ErrMoved) {
		t.Fatalf("queued: %+v", got)
	}
	b.closed(t, "a")
	if n := b.system.Active(); n != 0 {
		t.Errorf("%d actors", n)
	}
	release()
	if got := <-inTurn; !errors.Is(got.err, store.ErrUnknown) {
		t.Errorf("in its turn: %+v", got)
	}
	b.stop()
	if n := snapshots.saves.Load(); n != 0 {
		t.Errorf("%d snapshots of what was dropped", n)
	}
}

// What a commit had no room for has not begun.
func TestDropAnswersWhatATurnLeftOver(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	first := b.submit(t, deposits("a", "first"))
	<-entered
	var replies []<-chan reply
	for i := range 3 { // two fill a commit
		replies = append(replies, b.submit(t, actor.Command{Stream: stream("a"), Name: "scatter", Codec: store.JSON, Body: []byte(`{"N":500}`), ID: fmt.Sprint("s", i)}))
	}
	b.log.intercept(func(ctx context.Context, c *store.Commit, next appendFunc) (store.Head, error) {
		b.system.Drop(partitionOf("a"))
		return next(ctx, c)
	})
	release()
	if got := <-first; got.err != nil {
		t.Fatalf("first: %+v", got)
	}
	for i, r := range replies[:2] { // the lease is as valid as before
		if got := <-r; got.err != nil {
			t.Errorf("reply %d: %+v", i, got)
		}
	}
	if got := <-replies[2]; !errors.Is(got.err, actor.ErrMoved) {
		t.Errorf("left over: %+v", got)
	}
}

func TestOpenAfterDropDoesNotWaitForTheOldTurn(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.must(t, "a", open{Owner: "Ann"})
	entered, release := b.hold()
	old := b.submit(t, deposits("a", "old"))
	<-entered
	b.system.Drop(partitionOf("a"))
	b.lease.set(ownEpoch+1, true)
	b.system.Open(partitionOf("a"))
	if got := b.must(t, "a", deposit{Cents: 1}); got.Version != 2 {
		t.Fatalf("got %+v", got)
	}
	b.system.Release(t.Context(), partitionOf("a")) // has nothing to wait for
	b.system.Open(partitionOf("a"))
	release() // meets a conflict, under an epoch that is over
	if got := <-old; !errors.Is(got.err, actor.ErrMoved) {
		t.Errorf("the old turn: %+v", got)
	}
	if got := fmt.Sprint(b.epochs(t, "a")); got != "[7 8]" {
		t.Errorf("epochs %s", got)
	}
}

func TestNothingIsOpenedOnceTheSystemEnds(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	b.fill(t, "a", 20)
	b.stop()
	if snap, ok := b.snapshot(t, "a"); !ok || snap.Head.Version != 20 {
		t.Errorf("snapshot %+v", snap)
	}
	b.system.Open(partitionOf("a"))
	if _, err := b.sender.Execute(t.Context(), "a", touch{}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	b.system.Release(t.Context(), partitionOf("a"))
	b.system.Drop(partitionOf("a"))
}

func TestReleaseOfManyPartitionsAtOnce(t *testing.T) {
	t.Parallel()
	b := newLeased(t, newMemory(), nil)
	for i := range 200 {
		b.fill(t, fmt.Sprint(i), 9)
	}
	var group sync.WaitGroup
	for p := range 128 {
		group.Go(func() { b.system.Release(t.Context(), p) })
	}
	group.Wait()
	for i := range 200 {
		if snap, ok := b.snapshot(t, fmt.Sprint(i)); !ok || snap.Head.Version != 9 {
			t.Fatalf("%d: %+v", i, snap)
		}
	}
	if n := b.system.Active(); n != 0 {
		t.Fatalf("%d actors", n)
	}
}

func TestEventsSinceSnapshotCoverActorsThatRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		b := newBench(t, func(c *actor.Config) { c.Registerer = registry; c.SnapshotEvery = 500 })
		defer b.stop()
		b.fill(t, "idle", 40)
		b.fill(t, "busy", 90)
		entered, release := b.hold()
		defer release()
		b.submit(t, deposits("busy", "1"))
		<-entered
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := metric(t, registry, "annals_events_since_snapshot_max", ""); n != 90 {
			t.Fatalf("%v events, want those of the actor in its turn", n)
		}
	})
}
