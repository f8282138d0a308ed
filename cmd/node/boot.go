package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// part is one thing that a node consists of. Each function may be nil.
type part struct {
	name string
	// open makes the part; when it fails, it leaves nothing behind.
	open func(ctx context.Context) error
	// run keeps the part going until ctx ends, then drains and returns nil.
	run func(ctx context.Context) error
	// ready is closed when run serves; the next part is opened only then.
	ready func() <-chan struct{}
	// close releases what open made, after run has returned.
	close func() error
}

// stopLimit bounds how long a part may take to drain. What takes longer is
// reported, and what it rests on is taken away.
const stopLimit = 30 * time.Second

// boot opens and runs parts in order and stops them in reverse, one after the
// other: a part that takes work in is stopped while those that do the work
// still live. An errgroup would cancel all of them at once.
type boot struct {
	parts  []part
	logger *slog.Logger
	// state is told of each change: "starting", "running", "stopping",
	// "stopped". May be nil.
	state func(part, state string)
}

// started is a part that was opened.
type started struct {
	part
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned
	err    error         // of run; set before done is closed
}

// run blocks until ctx ends or a part fails, and returns when all parts are
// stopped. It calls up, once, when the last part is ready. The error is the
// first failure, joined with those of stopping; nil if there was none.
func (b *boot) run(ctx context.Context, up func()) error {
	failed := make(chan error, len(b.parts))
	var live []*started
	var err error
	for _, p := range b.parts {
		var s *started
		if s, err = b.start(ctx, p, failed); s != nil {
			live = append(live, s)
		}
		if err != nil {
			break
		}
	}
	if err == nil && ctx.Err() == nil {
		up()
		select {
		case <-ctx.Done():
		case err = <-failed:
		}
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil // interrupted while starting: that is a stop, not a failure
	}
	errs := []error{err}
	for _, p := range slices.Backward(live) {
		errs = append(errs, b.stop(p))
	}
	return errors.Join(errs...)
}

// start opens p, runs it and waits until it is ready. It returns nil for a
// part that does not have to be stopped.
func (b *boot) start(ctx context.Context, p part, failed chan error) (*started, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	b.tell(p.name, "starting")
	if p.open != nil {
		if err := p.open(ctx); err != nil {
			return nil, fmt.Errorf("start %s: %w", p.name, err)
		}
	}
	// The parts outlive ctx: they are cancelled one by one.
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &started{part: p, cancel: cancel, done: make(chan struct{})}
	if p.run == nil {
		close(s.done)
		b.tell(p.name, "running")
		return s, nil
	}
	go func() {
		defer close(s.done)
		s.err = p.run(runCtx)
		if runCtx.Err() == nil {
			failed <- endedEarly(p.name, s.err)
			s.err = nil // reported
		}
	}()
	err := s.awaitReady(ctx, failed)
	if err == nil {
		b.tell(p.name, "running")
	}
	return s, err
}

func endedEarly(name string, err error) error {
	if err == nil {
		return fmt.Errorf("%s ended by itself", name)
	}
	return fmt.Errorf("run %s: %w", name, err)
}

// awaitReady returns nil when the part serves, and the failure of any part
// that fails before.
func (s *started) awaitReady(ctx context.Context, failed <-chan error) error {
	if s.ready == nil {
		return nil
	}
	select {
	case <-s.ready():
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop drains s and releases it.
func (b *boot) stop(s *started) error {
	b.tell(s.name, "stopping")
	s.cancel()
	var errs []error
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-s.done:
		if s.err != nil && !errors.Is(s.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, s.err))
		}
	case <-timer.C:
		errs = append(errs, fmt.Errorf("stop %s: still draining after %v", s.name, stopLimit))
	}
	if s.close != nil {
		if err := s.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", s.name, err))
		}
	}
	b.tell(s.name, "stopped")
	return errors.Join(errs...)
}

func (b *boot) tell(name, state string) {
	b.logger.Debug("part changed", "part", name, "state", state)
	if b.state != nil {
		b.state(name, state)
	}
}
