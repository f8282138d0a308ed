package jetstream

import "sync"

// places remembers where the order has the last commits of one log stream, and
// wakes those who wait for one. Commits are sourced without a gap, so that a
// slice is all it takes. Only the order's reader adds.
type places struct {
	most int // how many are remembered at most

	mu      sync.Mutex
	first   uint64   // the sequence, in the log stream, of known[0]
	known   []uint64 // places in the order
	waiting map[uint64]*arrival
}

// arrival is what some wait for; the last who gives up takes it away.
type arrival struct {
	closed  chan struct{}
	waiters int
}

// add notes the place of the log stream's next message.
func (p *places) add(local, place uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) == 0 {
		p.first = local
	}
	if len(p.known) == p.most {
		half := p.most / 2
		p.known = append(p.known[:0], p.known[half:]...)
		p.first += uint64(half)
	}
	p.known = append(p.known, place)
	if a := p.waiting[local]; a != nil {
		close(a.closed)
		delete(p.waiting, local)
	}
}

// forget makes the next place that is noted the first. Who waits looks again in time.
func (p *places) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = nil
}

// whereabouts is what is known of a message of a log stream.
type whereabouts int

const (
	unheard whereabouts = iota // the order may have it: none of the log stream was heard of
	coming                     // the order did not have it when it was read last
	placed                     // it is at the place
	earlier                    // it is before the place
)

// look says where the order has a message.
func (p *places) look(local uint64) (uint64, whereabouts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.known) == 0:
		return 0, unheard
	case local < p.first:
		return p.known[0], earlier
	case local-p.first < uint64(len(p.known)):
		return p.known[local-p.first], placed
	}
	return 0, coming
}

// await returns a channel that is closed when the message has a place. Who does
// not wait any more says so with leave.
func (p *places) await(local uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.waiting[local]
	if a == nil {
		a = &arrival{closed: make(chan struct{})}
		if len(p.known) > 0 && local < p.first+uint64(len(p.known)) {
			close(a.closed)
			return a.closed
		}
		if p.waiting == nil {
			p.waiting = map[uint64]*arrival{}
		}
		p.waiting[local] = a
	}
	a.waiters++
	return a.closed
}

func (p *places) leave(local uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.waiting[local]
	if a == nil {
		return
	}
	if a.waiters--; a.waiters == 0 {
		delete(p.waiting, local)
	}
}
