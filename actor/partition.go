package actor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// partition is a slice of the id space with the actors of its streams. It is
// made anew whenever its actors are forgotten: what still runs then counts in
// the old one, and nobody waits for it.
type partition struct {
	number int

	mu      sync.Mutex
	refusal error // what whoever comes is answered; nil while the partition is open
	actors  map[store.StreamID]*actor
	busy    int                 // actors with a goroutine, and snapshots on their way to the store
	quiet   chan struct{}       // closed when busy falls to 0; nil while nobody waits
	purges  map[*actor][]*purge // that wait for actors with a goroutine
}

func newPartition(number int, refusal error) *partition {
	return &partition{number: number, refusal: refusal, actors: make(map[store.StreamID]*actor)}
}

// enqueue brings a request to its actor, which is made if there is none, or
// returns what the request is to be answered.
func (s *System) enqueue(r *request) error {
	p := s.table[r.partition].Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil {
		return p.refusal
	}
	a := p.actors[r.command.Stream]
	if a == nil {
		if hard := int64(s.config.MaxActors) + int64(s.config.MaxActors)/4; s.actors.Load() >= hard {
			return fmt.Errorf("%w: %d actors are in memory", ErrBusy, hard)
		}
		a = &actor{stream: r.command.Stream, kind: s.kinds[r.command.Stream.Type], home: p}
		p.actors[a.stream] = a
		s.actors.Add(1)
	}
	if len(a.queue) >= s.config.MailboxLen {
		return fmt.Errorf("%w: %d commands wait for %s", ErrBusy, s.config.MailboxLen, a.stream)
	}
	a.queue = append(a.queue, r)
	if !a.running {
		a.running = true
		p.busy++
		s.start(a)
	}
	return nil
}

// start gives an actor that counts as running its goroutine.
func (s *System) start(a *actor) {
	s.running.Add(1)
	go s.run(a)
}

// next hands out what is queued, in order, or ends the run.
func (p *partition) next(a *actor) []*request {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purged(a)
	a.behind = a.live.behind()
	batch := a.queue
	a.queue = nil
	if len(batch) == 0 {
		a.running = false
		a.lastUsed = time.Now()
		p.ended()
	}
	return batch
}

// ended is called with mu held, when one of busy is over.
func (p *partition) ended() {
	p.busy--
	if p.busy == 0 && p.quiet != nil {
		close(p.quiet)
		p.quiet = nil
	}
}

// has reports whether the actor has not been forgotten.
func (p *partition) has(a *actor) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actors[a.stream] == a
}

// claim takes the place of an idle actor's goroutine: until leave, its state is
// the caller's, and what is queued waits.
func (p *partition) claim(a *actor) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.actors[a.stream] == a && p.take(a)
}

// take is claim with mu held.
func (p *partition) take(a *actor) bool {
	if a.running {
		return false
	}
	a.running = true
	p.busy++
	return true
}

// leave ends a claim. The actor begins its turns if something was queued
// meanwhile; otherwise, if it is to retire, it is forgotten.
func (s *System) leave(a *actor, retire bool) {
	p := a.home
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purged(a)
	if len(a.queue) > 0 {
		s.start(a)
		return
	}
	a.running = false
	a.behind = a.live.behind()
	if retire {
		s.remove(a)
	}
	p.ended()
}

// remove is called with mu held.
func (s *System) remove(a *actor) {
	if a.home.actors[a.stream] == a {
		delete(a.home.actors, a.stream)
		s.actors.Add(-1)
	}
}

// forget removes an actor from its own turn. What is queued is answered err.
func (s *System) forget(a *actor, err error) {
	a.home.mu.Lock()
	s.remove(a)
	queue := a.queue
	a.queue = nil
	a.home.mu.Unlock()
	answerAll(queue, err)
}

// close makes the partition refuse whoever comes, if it did not before.
func (p *partition) close(refusal error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal == nil {
		p.refusal = refusal
	}
}

func (p *partition) refuses() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal
}

// wait waits until nothing of the partition is under way. It reports false if
// ctx ends before.
func (p *partition) wait(ctx context.Context) bool {
	p.mu.Lock()
	if p.busy == 0 {
		p.mu.Unlock()
		return true
	}
	if p.quiet == nil {
		p.quiet = make(chan struct{})
	}
	quiet := p.quiet
	p.mu.Unlock()
	select {
	case <-quiet:
		return true
	case <-ctx.Done():
		return false
	}
}

// empty forgets all actors and returns them and what was queued.
func (p *partition) empty() (actors int, queued []*request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.actors {
		queued = append(queued, a.queue...)
		a.queue = nil
	}
	actors = len(p.actors)
	p.actors = nil
	return actors, queued
}
