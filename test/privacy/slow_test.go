package privacy_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/store"
)

// dice are a seed's decisions, for many goroutines.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rand: rand.New(rand.NewPCG(seed, 6))} }

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

// pause takes some of the bubble's time.
func (d *dice) pause(most time.Duration) { <-time.After(time.Duration(d.below(int(most)))) }

// ioTime is the longest that one half of a read or write takes.
const ioTime = 10 * time.Millisecond

// slowly is a log that takes its time, so that there are moments for things to happen in.
// Whoever has crashed does not get at it any more, and hears of nothing that was under way.
type slowly struct {
	*store.Memory
	dice    *dice
	crashed *atomic.Bool
}

func (l slowly) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	lost := &store.UnknownError{Stream: c.Stream, Reason: errCrashed}
	l.dice.pause(ioTime)
	if l.crashed.Load() {
		return store.Head{}, lost
	}
	head, err := l.Memory.Append(ctx, c)
	l.dice.pause(ioTime)
	if l.crashed.Load() {
		return store.Head{}, lost
	}
	return head, err
}

var errCrashed = fmt.Errorf("crashed: %w", store.ErrUnavailable)

func (l slowly) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		l.dice.pause(ioTime)
		for c, err := range l.Memory.Read(ctx, id, after) {
			if l.crashed.Load() {
				c, err = nil, errCrashed
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		l.dice.pause(ioTime)
	}
}

// slowSnapshots take their time, too.
type slowSnapshots struct {
	*store.Memory
	dice    *dice
	crashed *atomic.Bool
	tally   *tally
}

func (s slowSnapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	defer s.tally.during("snapshot")()
	s.dice.pause(ioTime)
	defer s.dice.pause(ioTime)
	if s.crashed.Load() {
		return errCrashed
	}
	return s.Memory.Save(ctx, snap)
}

func (s slowSnapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	s.dice.pause(ioTime)
	defer s.dice.pause(ioTime)
	return s.Memory.Load(ctx, id)
}
