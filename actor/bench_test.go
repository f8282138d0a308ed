package actor_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// clockLease costs what a real lease costs: an epoch and an end are loaded, and
// the end is compared with the monotonic clock.
type clockLease struct {
	base  time.Time
	epoch atomic.Uint64
	until atomic.Int64
}

func (l *clockLease) Epoch(int) (uint64, bool) {
	return l.epoch.Load(), int64(time.Since(l.base)) < l.until.Load()
}

func (l *clockLease) Confirm(context.Context, int, uint64) error { return nil }

func benchSystem(b *testing.B, leased bool) *actor.System {
	b.Helper()
	memory := store.NewMemory(store.MemoryConfig{})
	config := actor.Config{Log: memory, Aggregates: []actor.Definition{accounts}, Logger: slog.New(slog.DiscardHandler)}
	if leased {
		lease := &clockLease{base: time.Now()}
		lease.epoch.Store(7)
		lease.until.Store(int64(24 * time.Hour))
		config.Leases = lease
	}
	system, err := actor.NewSystem(config)
	if err != nil {
		b.Fatal(err)
	}
	for p := range memory.Partitions() {
		system.Open(p)
	}
	return system
}

// BenchmarkCommand sends one command after the other to one actor: the cost of
// a turn of its own, without and with a lease. What decides nothing shows the
// turn alone.
func BenchmarkCommand(b *testing.B) {
	for _, c := range []struct {
		name    string
		command command
	}{{"decides nothing", touch{}}, {"stores an event", deposit{Cents: 1}}} {
		for _, leased := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/leases=%v", c.name, leased), func(b *testing.B) {
				sender := actor.For(benchSystem(b, leased), accounts)
				if _, err := sender.Execute(b.Context(), "a", open{Owner: "Ann"}); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := sender.Execute(b.Context(), "a", c.command); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLease is what a turn pays for its lease: two questions.
func BenchmarkLease(b *testing.B) {
	lease := &clockLease{base: time.Now()}
	lease.until.Store(int64(24 * time.Hour))
	for b.Loop() {
		_, begins := lease.Epoch(1)
		_, ends := lease.Epoch(1)
		if !begins || !ends {
			b.Fatal("the lease is over")
		}
	}
}

// BenchmarkRead reads the state of a live actor, beside folding it from the log
// for comparison.
func BenchmarkRead(b *testing.B) {
	system := benchSystem(b, true)
	sender := actor.For(system, accounts)
	for _, c := range []command{open{Owner: "Ann"}, scatter{N: 50}} {
		if _, err := sender.Execute(b.Context(), "a", c); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("live", func(b *testing.B) {
		for b.Loop() {
			if _, err := system.Read(b.Context(), stream("a"), false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("log", func(b *testing.B) {
		for b.Loop() {
			if _, err := system.State(b.Context(), stream("a"), actor.At{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRelease gives a partition away whose 20 actors need no snapshot.
func BenchmarkRelease(b *testing.B) {
	system := benchSystem(b, true)
	sender := actor.For(system, accounts)
	var ids []string
	for n := 0; len(ids) < 20; n++ {
		if id := fmt.Sprint(n); stream(id).Partition(128) == 0 {
			ids = append(ids, id)
		}
	}
	var took time.Duration
	for b.Loop() {
		system.Open(0)
		for _, id := range ids {
			_, _ = sender.Execute(b.Context(), id, touch{}) // is rejected, and leaves an actor
		}
		began := time.Now()
		system.Release(b.Context(), 0)
		took += time.Since(began)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/release")
}

func BenchmarkPartition(b *testing.B) {
	id := stream("application-173688")
	for b.Loop() {
		_ = id.Partition(128)
	}
}
