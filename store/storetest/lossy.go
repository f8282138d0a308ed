package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// Lossy is a log whose appends reach another log over a way that loses,
// repeats and refuses them as its [Faults] say, and that resolves them as a log
// must: by sending the identical commit again until the answer is definite.
// Everything else it passes on.
type Lossy struct {
	store.Log

	mu        sync.Mutex
	left      [kinds]int // how many publishes each kind of fault still disturbs
	meanwhile func()
}

var _ Faults = (*Lossy)(nil)

type kind int

const (
	loseAck kind = iota
	dropPublish
	repeatPublish
	inProgress
	kinds
	none
)

// resendAfter is how long Lossy waits for an answer that does not come.
const resendAfter = time.Millisecond

// NewLossy returns a log that stands before the given one and disturbs nothing
// until it is told to.
func NewLossy(log store.Log) *Lossy { return &Lossy{Log: log} }

// Append implements [store.Log].
func (l *Lossy) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	for ctx.Err() == nil {
		disturbance, meanwhile := l.next()
		switch disturbance {
		case none:
			return l.Log.Append(ctx, c)
		case repeatPublish, loseAck:
			// What the first one answers is what the way loses.
			_, _ = l.Log.Append(ctx, c)
		}
		if meanwhile != nil {
			meanwhile()
		}
		if disturbance == repeatPublish {
			return l.Log.Append(ctx, c)
		}
		select {
		case <-ctx.Done():
		case <-time.After(resendAfter):
		}
	}
	return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: context.Cause(ctx)}
}

// next says what the next publish suffers.
func (l *Lossy) next() (kind, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range kinds {
		if l.left[k] > 0 {
			l.left[k]--
			f := l.meanwhile
			l.meanwhile = nil
			return k, f
		}
	}
	return none, nil
}

func (l *Lossy) set(k kind, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[k] = n
}

// LoseAck implements [Faults].
func (l *Lossy) LoseAck(n int) { l.set(loseAck, n) }

// DropPublish implements [Faults].
func (l *Lossy) DropPublish(n int) { l.set(dropPublish, n) }

// RepeatPublish implements [Faults].
func (l *Lossy) RepeatPublish(n int) { l.set(repeatPublish, n) }

// InProgress implements [Faults].
func (l *Lossy) InProgress(n int) bool {
	l.set(inProgress, n)
	return true
}

// Meanwhile implements [Faults].
func (l *Lossy) Meanwhile(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meanwhile = f
}

// Heal implements [Faults].
func (l *Lossy) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.meanwhile = [kinds]int{}, nil
}
