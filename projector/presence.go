package projector

import (
	"context"
	"fmt"
)

// serve runs the view whenever it is assigned here, until ctx ends.
func (f *family) serve(ctx context.Context) {
	for ctx.Err() == nil {
		changed := f.cfg.reassigned()
		if f.arrive() {
			f.stay(ctx, changed)
			continue
		}
		f.depart()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	f.ended()
}

// arrive asks whether the view is assigned here, and notes that it runs if it
// is. Both happen under the lock, so that whoever withdraws the view and then
// waits for its end does not come between the answer and the note.
func (f *family) arrive() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.cfg.assigned(f.name) {
		return false
	}
	if f.away {
		f.logger.Info("view runs here")
	}
	if f.live != nil {
		f.live.leave(errMoved) // who waits goes on waiting for what comes now
	}
	for _, p := range f.models {
		p.leave(f.elsewhere())
	}
	f.away, f.idle = false, make(chan struct{})
	f.served = served{models: map[Model]*projection{}, halted: map[Model]int{}, flips: f.flips}
	return true
}

// stay runs the view until ctx ends, until it is assigned elsewhere, or until
// it finds that out by itself, and returns when it has stopped.
func (f *family) stay(ctx context.Context, changed <-chan struct{}) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	idle := f.idle
	go func() {
		defer close(idle)
		f.manage(running)
	}()
	for f.cfg.assigned(f.name) {
		select {
		case <-changed:
			changed = f.cfg.reassigned()
			continue
		case <-ctx.Done():
		case <-idle:
		}
		<-idle
		return
	}
	f.depart() // who waits for an answer does not wait for the last write
	stop()
	<-idle
}

// depart notes that the view does not run here any more, or not for long. What
// its last attempts still note is seen by nobody.
func (f *family) depart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.away {
		f.logger.Info("view runs elsewhere")
	}
	f.away = true
	for _, p := range f.models {
		p.leave(f.elsewhere())
	}
	f.broadcast()
}

// ended notes that the group has ended.
func (f *family) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = true
	for _, p := range f.models {
		p.finish()
	}
	f.broadcast()
}

// stopped returns nil when the view does not run.
func (f *family) stopped(ctx context.Context) error {
	f.mu.Lock()
	idle := f.idle
	f.mu.Unlock()
	return awaitEnd(ctx, f.name, idle)
}

// awaitEnd waits until a duty is not done here any more; idle is nil if it never was.
func awaitEnd(ctx context.Context, duty string, idle <-chan struct{}) error {
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", duty, ctx.Err())
	}
}
