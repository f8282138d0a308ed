package actor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// never leaves one rule of the policy alone: the others are out of reach.
func never(c *actor.Config) {
	c.SnapshotEvery, c.SnapshotBytes, c.SnapshotLoadTime = actor.MaxSnapshotEvery, -1, -1
}

// saved returns the version of the snapshot, 0 if there is none, once
// everything rests.
func (b *bench) saved(t *testing.T, id string) uint64 {
	t.Helper()
	synctest.Wait()
	snap, ok := b.snapshot(t, id)
	if !ok {
		return 0
	}
	return snap.Head.Version
}

func TestSnapshotByCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { never(c); c.SnapshotEvery = 10 })
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		for version := uint64(2); version < 35; version++ {
			b.must(t, "a", deposit{Cents: 1})
			if got, want := b.saved(t, "a"), version/10*10; got != want {
				t.Fatalf("after %d events the snapshot is at %d, want %d", version, got, want)
			}
		}
	})
}

// However few the events are, so many bytes of them are not read twice.
func TestSnapshotByBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { never(c); c.SnapshotBytes = 1000 })
		defer b.stop()
		b.must(t, "a", open{Owner: strings.Repeat("A", 950)})
		if got := b.saved(t, "a"); got != 0 {
			t.Fatalf("one event of about 960 bytes: snapshot at %d", got)
		}
		for range 10 { // of 8 bytes each
			b.must(t, "a", deposit{Cents: 1})
		}
		first := b.saved(t, "a")
		if first < 2 || first > 9 {
			t.Fatalf("with some events more the snapshot is at %d", first)
		}
		b.must(t, "a", scatter{N: 80})
		if got := b.saved(t, "a"); got != first {
			t.Fatalf("after %d bytes more it is at %d, want %d still", 80*8, got, first)
		}
		b.must(t, "a", scatter{N: 80})
		if got := b.saved(t, "a"); got != 171 {
			t.Fatalf("after twice as many it is at %d, want 171", got)
		}
	})
}

// A state of many bytes is not written again for a few bytes of events.
func TestSnapshotByBytesIsNotLargerThanItsEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *actor.Config) { never(c); c.SnapshotBytes = 100 })
		defer b.stop()
		b.must(t, "a", open{Owner: strings.Repeat("A", 20_000)})
		if got := b.saved(t, "a"); got != 1 {
			t.Fatalf("snapshot at %d, want 1", got)
		}
		b.must(t, "a", scatter{N: 400}) // 3,200 bytes
		if got := b.saved(t, "a"); got != 1 {
			t.Fatalf("snapshot at %d, want 1 still", got)
		}
	})
}

// slowly makes each read of the log take a time.
func (b *bench) slowly(d time.Duration) { b.log.onRead(func() { time.Sleep(d) }) }

func TestSnapshotByLoadTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		events int
		load   time.Duration
		want   uint64 // after the first turn
		later  uint64 // after 20 events more
	}{
		{"as fast as it may be", 40, 49 * time.Millisecond, 0, 0},
		{"slow", 40, 50 * time.Millisecond, 41, 41},
		{"slow, but of few events at first", 5, time.Second, 0, 26},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory := store.NewMemory(store.MemoryConfig{})
				first := newBenchOn(t, memory, func(c *actor.Config) { c.Snapshots = nil })
				first.fill(t, "a", test.events)
				first.stop()
				b := newBenchOn(t, memory, func(c *actor.Config) { never(c); c.SnapshotLoadTime = 0 })
				defer b.stop()
				b.slowly(test.load)
				b.must(t, "a", deposit{Cents: 1})
				if got := b.saved(t, "a"); got != test.want {
					t.Fatalf("snapshot at %d, want %d", got, test.want)
				}
				b.must(t, "a", scatter{N: 20})
				if got := b.saved(t, "a"); got != test.later {
					t.Fatalf("20 events later: snapshot at %d, want %d", got, test.later)
				}
			})
		})
	}
}

// stuckSnapshots does not finish a save before it is told to.
type stuckSnapshots struct {
	store.Snapshots
	release chan struct{}
}

func (s stuckSnapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	<-s.release
	return s.Snapshots.Save(ctx, snap)
}

// While a snapshot cannot be written commands go on, and the next one has
// everything.
func TestSnapshotThatIsNotWrittenHoldsUpNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := store.NewMemory(store.MemoryConfig{})
		stuck := stuckSnapshots{memory, make(chan struct{})}
		b := newBenchOn(t, memory, func(c *actor.Config) { never(c); c.SnapshotEvery = 1; c.Snapshots = stuck })
		defer b.stop()
		b.must(t, "a", open{Owner: "Ann"})
		for range 10 {
			b.must(t, "a", deposit{Cents: 1})
		}
		if got := b.saved(t, "a"); got != 0 {
			t.Fatalf("snapshot at %d while none can be written", got)
		}
		close(stuck.release)
		b.must(t, "a", deposit{Cents: 1})
		if b.saved(t, "a"); b.must(t, "a", deposit{Cents: 1}).Version != 13 || b.saved(t, "a") != 13 {
			t.Fatalf("snapshot at %d, want 13", b.saved(t, "a"))
		}
	})
}
