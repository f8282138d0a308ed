package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Part is one thing that a process consists of. Each function may be nil.
type Part struct {
	// Name is what states and errors call it.
	Name string
	// Open makes the part; when it fails, it leaves nothing behind.
	Open func(ctx context.Context) error
	// Run keeps the part going until ctx ends, then drains and returns nil.
	Run func(ctx context.Context) error
	// Ready tells what is closed when Run serves; the next part is opened only then.
	Ready func() <-chan struct{}
	// Close releases what Open made, after Run has returned, or after it was
	// given up: see [StopLimit].
	Close func() error
}

// State is what becomes of a part, in this order.
type State string

// The states of a part. One that cannot be opened is told no more than
// Starting.
const (
	Starting State = "starting"
	Running  State = "running"
	Stopping State = "stopping"
	Stopped  State = "stopped"
)

// StopLimit bounds how long a part may take to drain. What takes longer is
// reported, and what it rests on is taken away.
const StopLimit = 30 * time.Second

// Sequence opens and runs parts in order and stops them in reverse, one after the
// other: a part that takes work in is stopped while those that do the work
// still live. An errgroup would cancel all of them at once.
type Sequence struct {
	// Parts are in the order of their start.
	Parts []Part
	// Logger is told of each change.
	Logger *slog.Logger
	// State is told of each change, too. May be nil.
	State func(part string, state State)
}

// started is a part that was opened.
type started struct {
	Part
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // of Run; set before done is closed
}

// Run blocks until ctx ends or a part fails, and returns when all parts are
// stopped. It calls up, once, when the last part is ready. The error is the
// first failure, joined with those of stopping; nil if there was none.
func (q *Sequence) Run(ctx context.Context, up func()) error {
	failed := make(chan error, len(q.Parts))
	var live []*started
	var err error
	for _, p := range q.Parts {
		var s *started
		if s, err = q.start(ctx, p, failed); s != nil {
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
		errs = append(errs, q.stop(p))
	}
	return errors.Join(errs...)
}

// start opens p, runs it and waits until it is ready. It returns nil for a
// part that does not have to be stopped.
func (q *Sequence) start(ctx context.Context, p Part, failed chan error) (*started, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	q.tell(p.Name, Starting)
	if p.Open != nil {
		if err := p.Open(ctx); err != nil {
			return nil, fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	// The parts outlive ctx: they are cancelled one by one.
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &started{Part: p, cancel: cancel, done: make(chan struct{})}
	if p.Run == nil {
		close(s.done)
		q.tell(p.Name, Running)
		return s, nil
	}
	go func() {
		defer close(s.done)
		s.err = p.Run(runCtx)
		if runCtx.Err() == nil {
			failed <- endedEarly(p.Name, s.err)
			s.err = nil // reported
		}
	}()
	err := s.awaitReady(ctx, failed)
	if err == nil {
		q.tell(p.Name, Running)
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
	if s.Ready == nil {
		return nil
	}
	select {
	case <-s.Ready():
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop drains s and releases it.
func (q *Sequence) stop(s *started) error {
	q.tell(s.Name, Stopping)
	s.cancel()
	var errs []error
	timer := time.NewTimer(StopLimit)
	defer timer.Stop()
	select {
	case <-s.done:
		if s.err != nil && !errors.Is(s.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.Name, s.err))
		}
	case <-timer.C:
		errs = append(errs, fmt.Errorf("stop %s: still draining after %v", s.Name, StopLimit))
	}
	if s.Close != nil {
		if err := s.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", s.Name, err))
		}
	}
	q.tell(s.Name, Stopped)
	return errors.Join(errs...)
}

func (q *Sequence) tell(name string, state State) {
	q.Logger.Debug("part changed", "part", name, "state", string(state))
	if q.State != nil {
		q.State(name, state)
	}
}
