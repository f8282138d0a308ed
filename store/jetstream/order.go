package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// rememberedPlaces is how many places are remembered of all log streams
	// together, eight bytes each; warmPlaces how many of them are read when the
	// reader begins, for those who load what was appended lately.
	rememberedPlaces = 1 << 20
	warmPlaces       = 1 << 16
	// askAfter is how long a place is waited for before the order's leader is
	// asked whether the reader has missed it; then twice as long, up to eight
	// times. askWait is how long the answer is waited for.
	askAfter = 100 * time.Millisecond
	askWait  = 500 * time.Millisecond
	// stallAfter is how long a place is waited for before the log looks whether
	// the order still hears of the log stream.
	stallAfter = 500 * time.Millisecond
	// readerBeat is how often the server says that it is there, so that a reader
	// whose server died is replaced soon.
	readerBeat = 500 * time.Millisecond
)

// order knows where the total order has each commit, if it is a stream of its
// own: one goroutine reads its headers, from the first time that somebody wants
// to know. A nil order is that of a log with one log stream, where each message
// is its own place.
type order struct {
	log     *Log
	warm    uint64 // warmPlaces; tests change it
	streams []places
	stall   stall

	mu      sync.Mutex
	began   bool
	cancel  context.CancelFunc
	done    chan struct{}
	failure error // the order is damaged: no place is told any more
}

func newOrder(l *Log) *order {
	if !l.names.sourced() {
		return nil
	}
	o := &order{log: l, warm: warmPlaces, streams: make([]places, len(l.names.streams)), done: make(chan struct{})}
	for i := range o.streams {
		o.streams[i].most = rememberedPlaces / len(o.streams)
	}
	o.stall.log = l
	return o
}

// spot is where a log stream has a commit.
type spot struct {
	stream  int
	subject string
	local   uint64
}

// place returns where the order has the commit at a spot, and waits until it
// has it. errForgotten: it has it, at the place that is returned or before it.
// Other errors are ctx's, [store.ErrDamaged], or that the log is closed.
func (l *Log) place(ctx context.Context, s spot) (uint64, error) {
	if l.order == nil {
		return s.local, nil
	}
	return l.order.wait(ctx, s)
}

// wait does not trust the reader alone: what it does not hear in time is asked
// for, of the leader.
func (o *order) wait(ctx context.Context, s spot) (uint64, error) {
	began := time.Now()
	o.begin()
	for try := 0; ; try++ {
		place, where := o.streams[s.stream].look(s.local)
		switch where {
		case placed:
			return place, nil
		case earlier:
			return place, errForgotten
		}
		if err := cmp.Or(o.broken(), o.log.link.err()); err != nil {
			return 0, err
		}
		if try > 0 || where == unheard {
			if place, err := o.ask(ctx, s); place > 0 {
				return place, err
			}
		}
		if time.Since(began) > stallAfter {
			o.stall.look(ctx, s.stream)
		}
		if err := o.pause(ctx, s, askAfter<<min(try, 3)); err != nil {
			return 0, err
		}
	}
}

// ask asks the order's leader, once. It returns 0 while the order does not have
// the commit, and when nobody answers.
func (o *order) ask(ctx context.Context, s spot) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	last, err := o.log.fetch(ctx, o.log.names.order.leaderGet, lastOn(s.subject))
	switch {
	case err != nil || last.local < s.local:
		return 0, nil // the same as not there: it is asked again
	case last.local > s.local:
		return last.sequence, errForgotten
	}
	return last.sequence, nil
}

// pause waits until the reader has come to the spot, or until it is time to ask.
func (o *order) pause(ctx context.Context, s spot, most time.Duration) error {
	places := &o.streams[s.stream]
	arrived := places.await(s.local)
	defer places.leave(s.local)
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-arrived:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-o.done:
		return cmp.Or(o.broken(), errClosed)
	}
	return nil
}

// covers reports whether the places of all messages of a log stream from a
// sequence on are remembered, as far as the order has them.
func (o *order) covers(stream int, from uint64) bool {
	if o == nil {
		return true
	}
	_, where := o.streams[stream].look(from)
	return where == placed
}

// remembered returns the place of a message, if it is remembered.
func (o *order) remembered(stream int, local uint64) (uint64, bool) {
	if o == nil {
		return local, true
	}
	place, where := o.streams[stream].look(local)
	if where != placed {
		return 0, false
	}
	return place, true
}

// begin starts the reader if it does not run.
func (o *order) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.began {
		return
	}
	o.began = true
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel = cancel
	go func() {
		defer close(o.done)
		o.fail(o.read(ctx))
	}()
}

// close ends the reader. It is safe to call twice.
func (o *order) close() {
	if o == nil {
		return
	}
	o.mu.Lock()
	began, cancel := o.began, o.cancel
	if !began {
		o.began, o.cancel = true, func() {}
		close(o.done)
	}
	o.mu.Unlock()
	if began {
		cancel()
	}
	<-o.done
}

func (o *order) broken() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}

func (o *order) fail(err error) {
	if !errors.Is(err, store.ErrDamaged) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failure = fmt.Errorf("total order: %w", err)
	o.log.cfg.Logger.Error("the total order is damaged", "namespace", o.log.cfg.Namespace, "err", err)
}
