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
			writers.Go(func() { s.write(drained, done) })
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
	type idle struct {
		a     *actor
		since time.Time
	}
	var others []idle
	var behind uint64
	for i := range s.table {
		for _, a := range s.table[i].all() {
			since, ahead, ok := a.idleSince()
			behind = max(behind, ahead)
			switch {
			case !ok:
			case now.Sub(since) >= s.config.PassivateAfter:
				s.passivate(a)
			case s.Active() > s.config.MaxActors:
				others = append(others, idle{a, since})
			}
		}
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

func (shard *tableShard) all() []*actor {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	actors := make([]*actor, 0, len(shard.actors))
	for _, a := range shard.actors {
		actors = append(actors, a)
	}
	return actors
}

// idleSince says since when an actor is idle, if it is, and how many events
// its stream is ahead of its snapshot.
func (a *actor) idleSince() (since time.Time, behind uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running || a.gone {
		return time.Time{}, 0, false
	}
	if a.live != nil {
		behind = a.live.head.Version - a.live.snapshot
	}
	return a.lastUsed, behind, true
}

// passivate drops an idle actor from memory, with a snapshot if that is worth
// it. An actor that got work, or whose snapshot cannot be queued, stays.
func (s *System) passivate(a *actor) {
	if !s.retire(a) {
		return
	}
	shard := s.shard(a.stream)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.actors[a.stream] == a {
		delete(shard.actors, a.stream)
		s.actors.Add(-1)
	}
}

func (s *System) retire(a *actor) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running || a.gone || len(a.queue) > 0 {
		return false
	}
	if s.worthSaving(a) && !s.requestSave(a) {
		return false
	}
	a.gone = true
	return true
}

func (s *System) worthSaving(a *actor) bool {
	return s.config.Snapshots != nil && a.live != nil && a.live.head.Version-a.live.snapshot >= worthSaving
}

// drain ends the intake, waits for the commands under way and passivates
// everybody.
func (s *System) drain(ctx context.Context) {
	s.gate.Lock()
	s.closed = true
	s.gate.Unlock()
	waitFor(ctx, &s.running)
	for i := range s.table {
		for _, a := range s.table[i].all() {
			for !s.passivateNow(ctx, a) {
			}
		}
	}
}

// passivateNow passivates an actor at the end, when a full queue of snapshots
// is worth a moment's wait. It reports false while that moment lasts.
func (s *System) passivateNow(ctx context.Context, a *actor) bool {
	s.passivate(a)
	a.mu.Lock()
	gone := a.gone || a.running
	a.mu.Unlock()
	if gone {
		return true
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(time.Millisecond):
		return false
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
