package privacy_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync"
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
func (d *dice) pause(most time.Duration) { time.Sleep(time.Duration(d.below(int(most)))) }

// ioTime is the longest that one half of a read or write takes.
const ioTime = 10 * time.Millisecond

// slowly is a log that takes its time, so that there are moments for things to happen in.
type slowly struct {
	*store.Memory
	dice *dice
}

func (l slowly) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	l.dice.pause(ioTime)
	head, err := l.Memory.Append(ctx, c)
	l.dice.pause(ioTime)
	return head, err
}

func (l slowly) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		l.dice.pause(ioTime)
		for c, err := range l.Memory.Read(ctx, id, after) {
			if !yield(c, err) {
				return
			}
		}
		l.dice.pause(ioTime)
	}
}

// slowSnapshots take their time, too.
type slowSnapshots struct {
	*store.Memory
	dice *dice
}

func (s slowSnapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	s.dice.pause(ioTime)
	defer s.dice.pause(ioTime)
	return s.Memory.Save(ctx, snap)
}

func (s slowSnapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	s.dice.pause(ioTime)
	defer s.dice.pause(ioTime)
	return s.Memory.Load(ctx, id)
}
