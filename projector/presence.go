package projector

import (
	"context"
	"fmt"
)

// serve runs the view whenever it is assigned here, until ctx ends.
func (p *projection) serve(ctx context.Context) {
	for ctx.Err() == nil {
		changed := p.cfg.reassigned()
		if p.arrive() {
			p.stay(ctx, changed)
			continue
		}
		p.depart()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	p.ended()
}

// arrive asks whether the view is assigned here, and notes that it runs if it
// is. Both happen under the lock, so that whoever withdraws the view and then
// waits for its end does not come between the answer and the note.
func (p *projection) arrive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cfg.assigned(p.desc.Name) {
		return false
	}
	if p.away {
		p.logger.Info("view runs here")
	}
	p.away, p.idle = false, make(chan struct{})
	for _, w := range p.workers {
		w.standing = standing{state: StateStarting}
	}
	return true
}

// stay runs the view until ctx ends, until it is assigned elsewhere, or until
// it finds that out by itself, and returns when it has stopped.
func (p *projection) stay(ctx context.Context, changed <-chan struct{}) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	idle := p.idle
	go func() {
		defer close(idle)
		p.run(running)
	}()
	for p.cfg.assigned(p.desc.Name) {
		select {
		case <-changed:
			changed = p.cfg.reassigned()
			continue
		case <-ctx.Done():
		case <-idle:
		}
		<-idle
		return
	}
	p.depart() // who waits for an answer does not wait for the last write
	stop()
	<-idle
}

// depart notes that the view does not run here any more, or not for long. What
// its last attempt still notes is seen by nobody.
func (p *projection) depart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away {
		p.logger.Info("view runs elsewhere")
	}
	p.away = true
	p.waiters.fail(p.elsewhere())
}

func (p *projection) elsewhere() error { return fmt.Errorf("view %s: %w", p.desc.Name, ErrElsewhere) }

// ended notes that the group has ended.
func (p *projection) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	p.waiters.fail(ErrStopped)
}

// stopped returns nil when the view does not run.
func (p *projection) stopped(ctx context.Context) error {
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of view %s: %w", p.desc.Name, ctx.Err())
	}
}
