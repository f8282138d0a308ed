package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// barrier lets many goroutines wait for a sync that began after each of them
// asked, with as few syncs as that allows: at most one runs, and all who ask
// meanwhile share the next one. While nobody waits it has no goroutine.
//
// A caller may not share the sync that is already running: that one may have
// passed over the caller's data before the data was written.
type barrier struct {
	sync func() error

	mu     sync.Mutex
	next   *round        // whom the next sync will serve; nil when nobody waits for it
	idle   chan struct{} // closed when run ends; nil when it does not run
	err    error         // set once, for ever
	failed chan struct{} // closed when a sync failed
}

// round is one sync and all who wait for it.
type round struct {
	done chan struct{}
	err  error // set before done is closed
}

func newBarrier(sync func() error) *barrier {
	return &barrier{sync: sync, failed: make(chan struct{})}
}

// wait returns nil after a sync that began after the call. ctx bounds the
// wait, not the sync. Every other error matches ErrNotDurable and will be
// returned for ever: the kernel reports a failed write-back once, and a
// later sync that succeeds says nothing about the pages that it lost.
func (b *barrier) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for sync: %w", err)
	}
	r, err := b.join()
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("wait for sync: %w", ctx.Err())
	}
}

func (b *barrier) join() (*round, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	if b.next == nil {
		b.next = &round{done: make(chan struct{})}
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
		go b.run()
	}
	return b.next, nil
}

// run syncs for one round after the other until nobody waits.
func (b *barrier) run() {
	for r := b.begin(); r != nil; r = b.begin() {
		r.err = b.end(b.sync())
		close(r.done)
	}
}

// begin takes the next round: whoever asks from now on is too late for it. It
// returns nil, and the goroutine is to end, when there is none.
func (b *barrier) begin() *round {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.next
	b.next = nil
	if r != nil && b.err == nil {
		return r
	}
	if r != nil {
		r.err = b.err
		close(r.done)
	}
	close(b.idle)
	b.idle = nil
	return nil
}

// end notes the outcome of a sync, and returns what its round is told.
func (b *barrier) end(err error) error {
	if err == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil || errors.Is(b.err, errShutdown) {
		b.err = fmt.Errorf("sync: %w: %w", ErrNotDurable, err)
		close(b.failed)
	}
	return b.err
}

var errShutdown = fmt.Errorf("%w: the server was shut down", ErrNotDurable)

// close fails all who wait for a sync that has not begun and all who come
// later, and returns when no sync runs any more.
func (b *barrier) close() {
	b.mu.Lock()
	if b.err == nil {
		b.err = errShutdown
	}
	idle := b.idle
	b.mu.Unlock()
	if idle != nil {
		<-idle
	}
}
