package actor

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Run passivates idle actors and writes snapshots until ctx ends. Then it
// takes no more commands, waits for those under way, snapshots the actors that
// are worth it, and returns nil; all within Config.DrainTimeout. A system runs
// once.
func (s *System) Run(ctx context.Context) error {
	drained, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan struct{}) // closed when no actor asks for a snapshot any more
	var writers sync.WaitGroup
	if s.config.Snapshots != nil {
		for range saveWorkers {
			writers.Go(func() { s.writeQueued(drained, done) })
		}
	}
	s.sweepUntil(ctx)
	deadline := time.AfterFunc(s.config.DrainTimeout, cancel)
	defer deadline.Stop()
	s.drain(drained)
	close(done) // not saves: an actor that outlives the drain may still ask
	waitFor(drained, &writers)
	return nil
}

func (s *System) sweepUntil(ctx context.Context) {
	tick := time.NewTicker(max(min(s.config.PassivateAfter/4, time.Minute), time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.sweep(now)
		}
	}
}

// sweep passivates the actors that have been idle for long, and of the others
// the longest idle while there are too many.
func (s *System) sweep(now time.Time) {
	var others []idle
	var behind uint64
	for i := range s.table {
		due, rest, most := s.table[i].Load().idle(now.Add(-s.config.PassivateAfter), s.Active() > s.config.MaxActors)
		for _, d := range due {
			s.passivate(d.a)
		}
		others, behind = append(others, rest...), max(behind, most)
	}
	s.metrics.behind.Set(float64(behind))
	slices.SortFunc(others, func(x, y idle) int { return x.since.Compare(y.since) })
	for _, o := range others {
		if s.Active() <= s.config.MaxActors {
			return
		}
		s.passivate(o.a)
	}
}

// idle is an actor that has nothing to do.
type idle struct {
	a     *actor
	since time.Time
}

// idle returns the actors that have been idle since before a moment and, if
// wanted, those that have been idle for less; and how many events the one that
// has most is ahead of its snapshot, idle or not.
func (p *partition) idle(before time.Time, wanted bool) (due, rest []idle, behind uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.actors {
		behind = max(behind, a.behind)
		switch {
		case a.running:
		case !a.lastUsed.After(before):
			due = append(due, idle{a, a.lastUsed})
		case wanted:
			rest = append(rest, idle{a, a.lastUsed})
		}
	}
	return due, rest, behind
}

// passivate drops an idle actor from memory, with a snapshot if that is worth
// it. An actor that got work, or whose snapshot cannot be queued, stays.
func (s *System) passivate(a *actor) {
	if a.home.claim(a) {
		s.leave(a, !s.worthSaving(a) || s.requestSave(a))
	}
}

func (s *System) worthSaving(a *actor) bool {
	return s.config.Snapshots != nil && a.live.behind() >= worthSaving
}

// drain ends the intake, waits for the commands under way, saves the actors
// that are worth it and forgets everybody.
func (s *System) drain(ctx context.Context) {
	s.closed.Store(true)
	var settled sync.WaitGroup
	for i := range s.table {
		p := s.table[i].Load()
		p.close(errClosed)
		settled.Go(func() { s.settle(ctx, p) })
	}
	settled.Wait()
	waitFor(ctx, &s.running)
	for i := range s.table {
		s.replace(s.table[i].Load(), errClosed)
	}
}

// waitFor waits for a group, or for ctx's end.
func waitFor(ctx context.Context, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
