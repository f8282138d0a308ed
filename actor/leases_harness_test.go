package actor_test

import (
	"context"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// fakeLease says of all partitions what a test tells it to say.
type fakeLease struct {
	mu      sync.Mutex
	epoch   uint64
	valid   bool
	left    int    // checks until then happens; 0: it never does
	then    func() // called with mu held
	confirm func(ctx context.Context, partition int, epoch uint64) error
}

func (l *fakeLease) Epoch(int) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch, valid := l.epoch, l.valid
	if l.left > 0 {
		if l.left--; l.left == 0 {
			l.then()
		}
	}
	return epoch, valid
}

func (l *fakeLease) Confirm(ctx context.Context, partition int, epoch uint64) error {
	l.mu.Lock()
	confirm := l.confirm
	l.mu.Unlock()
	if confirm == nil {
		return nil
	}
	return confirm(ctx, partition, epoch)
}

func (l *fakeLease) set(epoch uint64, valid bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch, l.valid = epoch, valid
}

// setAfter answers a number of checks as before, and then as told.
func (l *fakeLease) setAfter(checks int, epoch uint64, valid bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.then = checks, func() { l.epoch, l.valid = epoch, valid }
}

const ownEpoch = 7

type leasedBench struct {
	*bench
	lease *fakeLease
}

// newLeased runs a system that holds all partitions under ownEpoch.
func newLeased(t *testing.T, memory *store.Memory, change func(*actor.Config)) leasedBench {
	t.Helper()
	lease := &fakeLease{epoch: ownEpoch, valid: true}
	b := newBenchOn(t, memory, func(c *actor.Config) {
		c.Leases = lease
		if change != nil {
			change(c)
		}
	})
	for p := range memory.Partitions() {
		b.system.Open(p)
	}
	return leasedBench{b, lease}
}

func newMemory() *store.Memory { return store.NewMemory(store.MemoryConfig{}) }

// lapses are the ways in which a lease ends.
var lapses = map[string]struct {
	epoch uint64
	valid bool
}{
	"not valid":     {ownEpoch, false},
	"another epoch": {ownEpoch + 1, true},
}

// deposits makes a command with an id.
func deposits(id, command string) actor.Command {
	c := deposited1(command)
	c.Stream = stream(id)
	return c
}

func partitionOf(id string) int { return stream(id).Partition(128) }

// inPartition returns ids of one partition, beginning with the given one.
func inPartition(first string, n int) []string {
	ids := []string{first}
	for i := 0; len(ids) < n; i++ {
		if id := first + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)); partitionOf(id) == partitionOf(first) {
			ids = append(ids, id)
		}
	}
	return ids
}

// metric returns the value of a metric of the accounts, with a cause if there
// is one.
func metric(t *testing.T, r *prometheus.Registry, name, cause string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := cause == ""
			for _, l := range m.GetLabel() {
				matches = matches || l.GetName() == "cause" && l.GetValue() == cause
			}
			if matches {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s with cause %q", name, cause)
	return 0
}
