package gateway

import (
	"context"
	"slices"
	"time"
)

// Errands are parked with their partition: while nobody serves it, while it is
// held, while its owner does not respond. They keep their places among those
// under way, which bounds them. One goroutine looks after all of them.

const (
	// tick is how often it looks while there is anything to look after.
	tick = 10 * time.Millisecond
	// maxRounds bounds how long one call unloads a partition that fills up all
	// the while; the rest follows at the next tick.
	maxRounds = 64
	// restAfterSilence is how long errands rest after their owner did not respond.
	restAfterSilence = 50 * time.Millisecond
)

// park puts an errand behind the others of its partition, unless the gateway
// is being stopped. The caller holds the lock.
func (g *Gateway) park(p *partition, e *errand) bool {
	if g.leaving.Load() {
		return false
	}
	e.parkedAt = time.Now()
	p.parked = append(p.parked, e)
	g.metrics.parked.Inc()
	g.attend()
	return true
}

// parkAgain parks an errand that came back: from the actors, or from a node
// that did not respond. The others rest with it.
func (g *Gateway) parkAgain(e *errand, suspect string) {
	p := &g.partitions[e.partition]
	p.mu.Lock()
	rest := tick
	if suspect != "" {
		p.suspect, rest = suspect, restAfterSilence
	}
	p.restUntil = time.Now().Add(rest)
	parked := g.park(p, e)
	p.mu.Unlock()
	if !parked {
		g.refuse(e, g.unavailable(e))
	}
}

// reached notes that a node responded.
func (g *Gateway) reached(partition int, node string) {
	p := &g.partitions[partition]
	p.mu.Lock()
	cleared := p.suspect == node
	if cleared {
		p.suspect, p.restUntil = "", time.Time{}
	}
	p.mu.Unlock()
	if cleared {
		g.unload(p)
	}
}

// unload sends the parked errands of a partition on their way, in the order in
// which they came, as long as there is a way.
func (g *Gateway) unload(p *partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unloading {
		return // whoever does it looks again before ending
	}
	p.unloading = true
	for range maxRounds {
		batch, to := g.nextBatch(p)
		if len(batch) == 0 {
			break
		}
		p.mu.Unlock()
		for _, e := range batch {
			g.unpark(e)
			g.carry(e, to)
		}
		p.mu.Lock()
	}
	p.unloading = false
}

// nextBatch takes what may go now. Of those for a node that did not respond
// only the first goes, to see. The caller holds the lock.
func (g *Gateway) nextBatch(p *partition) ([]*errand, heading) {
	to := g.heading(p)
	now := time.Now()
	if len(p.parked) == 0 || to == (heading{}) || now.Before(p.restUntil) {
		return nil, to
	}
	// Those that came back stand behind those that came after them.
	slices.SortStableFunc(p.parked, func(a, b *errand) int { return a.request.began.Compare(b.request.began) })
	n := len(p.parked)
	if to.node != "" && to.node == p.suspect {
		n, p.restUntil = 1, now.Add(restAfterSilence)
	}
	batch := p.parked[:n:n]
	p.parked = p.parked[n:]
	if len(p.parked) == 0 {
		p.parked = nil
	}
	return batch, to
}

func (g *Gateway) unpark(e *errand) {
	g.metrics.parked.Dec()
	g.metrics.parkedFor.Observe(time.Since(e.parkedAt).Seconds())
}

// expire removes those whose time is over; all of them when the gateway is
// being stopped. The caller holds the lock.
func (g *Gateway) expire(p *partition, now time.Time) (over []*errand) {
	all := g.leaving.Load()
	p.parked = slices.DeleteFunc(p.parked, func(e *errand) bool {
		ends := all || !now.Before(e.deadline)
		if ends {
			over = append(over, e)
		}
		return ends
	})
	return over
}

// tend does for each partition what is due; it reports whether anything is left
// to do later.
func (g *Gateway) tend(now time.Time) (busy bool) {
	busy = g.passage.tend(now)
	for i := range g.partitions {
		p := &g.partitions[i]
		g.unload(p)
		p.mu.Lock()
		over := g.expire(p, now)
		p.leave(now)
		busy = busy || len(p.parked) > 0 || !p.leaveAt.IsZero()
		p.mu.Unlock()
		for _, e := range over {
			g.unpark(e)
			g.refuse(e, g.unavailable(e))
		}
	}
	return busy
}

// attend has the partitions looked after from now on.
func (g *Gateway) attend() {
	select {
	case g.attention <- struct{}{}:
	default: // that is already known
	}
}

// keep looks after the partitions until ctx ends: at once when the placement
// changes, and at each tick while there is anything to do.
func (g *Gateway) keep(ctx context.Context) {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for {
		changed := g.config.Placement.Changed()
		attention, due := g.attention, (<-chan time.Time)(nil)
		if g.tend(time.Now()) {
			timer.Reset(tick)
			attention, due = nil, timer.C
		}
		select {
		case <-changed:
			g.wake()
		case <-due:
		case <-attention:
		case <-ctx.Done():
			return
		}
	}
}

// wake ends all rests: another node may serve a partition now.
func (g *Gateway) wake() {
	for i := range g.partitions {
		p := &g.partitions[i]
		p.mu.Lock()
		p.restUntil = time.Time{}
		p.mu.Unlock()
	}
}
