package actor_test

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// readLog notes where the last read began.
type readLog struct {
	store.Log
	from atomic.Uint64
}

func (l *readLog) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	l.from.Store(after.Version)
	return l.Log.Read(ctx, id, after)
}

// lengthen makes an account so many events long, one each minute.
func (b *bench) lengthen(t *testing.T, id string, to uint64) {
	t.Helper()
	_, version, err := b.sender.State(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if version == 0 {
		b.must(t, id, open{Owner: "Ann"})
		version = 1
	}
	for version < to {
		time.Sleep(time.Minute)
		version = b.must(t, id, scatter{N: int(min(50, to-version))}).Version
	}
	synctest.Wait()
}

func (b *bench) marks(t *testing.T, id string) []uint64 {
	t.Helper()
	marks, err := b.memory.Pasts(t.Context(), stream(id))
	if err != nil {
		t.Fatal(err)
	}
	return marks
}

// However long a stream is, it has few past snapshots, all over its length.
func TestPastSnapshotsLieEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		for _, c := range []struct{ length, first, step uint64 }{{900, 0, 0}, {5200, 1000, 1000}, {15_900, 1000, 1000}, {17_200, 2000, 2000}, {40_200, 4000, 4000}} {
			b.lengthen(t, "a", c.length)
			var want []uint64
			for mark := c.first; mark > 0 && mark <= c.length; mark += c.step {
				want = append(want, mark)
			}
			if got := b.marks(t, "a"); !slices.Equal(got, want) {
				t.Fatalf("at %d events: %v, want %v", c.length, got, want)
			}
		}
	})
}

// A fold that ends long before the stream does leaves no more behind than the stream
// may have.
func TestPastSnapshotsOfAPartAreFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		b.lengthen(t, "a", 40_200)
		want := b.marks(t, "a")
		for _, mark := range want[:len(want)-1] {
			if err := b.memory.DropPast(t.Context(), stream("a"), mark); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.system.State(t.Context(), stream("a"), actor.At{Version: 39_999}); err != nil {
			t.Fatal(err)
		}
		if got := b.marks(t, "a"); !slices.Equal(got, want) {
			t.Errorf("after a fold of a part: %v, want %v", got, want)
		}
		if _, err := b.system.State(t.Context(), stream("a"), actor.At{Version: 3900}); err != nil {
			t.Fatal(err)
		}
		if got := b.marks(t, "a"); !slices.Equal(got, want) {
			t.Errorf("after a fold of a short part: %v, want %v", got, want)
		}
	})
}

// A state of the past is the same from wherever the fold begins, and that is not
// far away.
func TestStateOfALongPast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newBench(t, nil)
		defer b.stop()
		log := &readLog{Log: b.memory}
		b.log.Log = log
		b.lengthen(t, "a", 10_000)
		check := func(what string, at actor.At, version, furthest uint64) {
			t.Helper()
			s, err := b.system.State(t.Context(), stream("a"), at)
			if err != nil || s.Version != version || s.Value.(account).Cents != int64(version)-1 {
				t.Fatalf("%s at %+v: %+v, %v, want version %d", what, at, s, err, version)
			}
			if from := log.from.Load(); from > version || version-from > furthest {
				t.Errorf("%s at version %d: folded from %d, want at most %d events", what, version, from, furthest)
			}
		}
		for _, version := range []uint64{1, 7, 999, 1000, 1001, 1057, 4999, 9_900, 9_999, 10_000} {
			check("with past snapshots", actor.At{Version: version}, version, 1100)
		}
		for _, minutes := range []int{20, 100, 150} { // 50 events a minute, after the first
			check("with past snapshots", actor.At{Time: began.Add(time.Duration(minutes)*time.Minute + time.Second)}, uint64(1+50*minutes), 1100)
		}
		for _, mark := range b.marks(t, "a") {
			if mark%2000 == 0 {
				if err := b.memory.DropPast(t.Context(), stream("a"), mark); err != nil {
					t.Fatal(err)
				}
				continue
			}
			snap, err := b.memory.LoadPast(t.Context(), stream("a"), mark)
			if err != nil {
				t.Fatal(err)
			}
			snap.Head.Hash[0] ^= 1
			if err := b.memory.SavePast(t.Context(), mark, snap); err != nil {
				t.Fatal(err)
			}
		}
		for _, version := range []uint64{999, 3200, 9_900} {
			check("with damaged ones", actor.At{Version: version}, version, 10_000)
		}
		check("after these were replaced", actor.At{Version: 9_900}, 9_900, 1100)
	})
}

// A fold from the first event leaves behind what the next one begins with.
func TestAFoldLeavesPastSnapshotsBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := store.NewMemory(store.MemoryConfig{})
		first := newBenchOn(t, memory, func(c *actor.Config) { c.Snapshots = nil })
		first.lengthen(t, "a", 3500)
		first.stop()
		b := newBenchOn(t, memory, nil)
		defer b.stop()
		if s, err := b.system.State(t.Context(), stream("a"), actor.At{Version: 3400}); err != nil || s.Version != 3400 {
			t.Fatal(s, err)
		}
		if got := b.marks(t, "a"); !slices.Equal(got, []uint64{1000, 2000, 3000}) {
			t.Errorf("after a state of the past: %v", got)
		}
		if err := memory.Delete(t.Context(), stream("a")); err != nil {
			t.Fatal(err)
		}
		b.must(t, "a", deposit{Cents: 1})
		if got := b.marks(t, "a"); !slices.Equal(got, []uint64{1000, 2000, 3000}) {
			t.Errorf("after an activation: %v", got)
		}
	})
}

// slowPasts takes its time for each past snapshot.
type slowPasts struct {
	store.PastSnapshots
	saved atomic.Int64
}

func (s *slowPasts) SavePast(ctx context.Context, mark uint64, snap *store.Snapshot) error {
	s.saved.Add(1)
	time.Sleep(1500 * time.Millisecond)
	return s.PastSnapshots.SavePast(ctx, mark, snap)
}

// An activation is for a command that waits: it spends little on the past, however
// slowly that is stored.
func TestAnActivationDoesNotWaitForThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := store.NewMemory(store.MemoryConfig{})
		first := newBenchOn(t, memory, func(c *actor.Config) { c.Snapshots = nil })
		first.lengthen(t, "a", 30_000)
		first.stop()
		slow := &slowPasts{PastSnapshots: memory}
		b := newBenchOn(t, memory, func(c *actor.Config) { c.Snapshots = slow })
		defer b.stop()
		began := time.Now()
		b.must(t, "a", deposit{Cents: 1})
		if took := time.Since(began); took > 5*time.Second || slow.saved.Load() == 0 {
			t.Errorf("the activation took %s, with %d past snapshots", took, slow.saved.Load())
		}
	})
}
