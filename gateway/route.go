package gateway

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// maxHops is how often a request may be passed on. Two nodes that each hold
// the other for the owner would pass it to and fro for ever.
const maxHops = 4

// heading is where the errands of a partition go at a moment: to the actors
// here, to another node or, if it is zero, nowhere yet.
type heading struct {
	here bool
	node string
}

// route sends an errand on its way. Errands of one partition keep their order:
// while some are parked, or are just being sent off, new ones queue behind.
func (g *Gateway) route(e *errand) {
	if g.config.Placement == nil {
		g.execute(e)
		return
	}
	p := &g.partitions[e.partition]
	p.mu.Lock()
	to := g.heading(p)
	if to == (heading{}) || p.unloading || len(p.parked) > 0 {
		parked := g.park(p, e)
		p.mu.Unlock()
		if !parked {
			g.refuse(e, g.unavailable(e))
		}
		return
	}
	p.mu.Unlock()
	g.carry(e, to)
}

// heading says where errands go. The caller holds the partition's lock.
func (g *Gateway) heading(p *partition) heading {
	switch p.stance {
	case open:
		return heading{here: true}
	case held:
		return heading{}
	case away:
	}
	node, here := g.config.Placement.Owner(p.number)
	if here || node == g.config.Node { // if partitioned: it comes here, but is not served yet
		return heading{here: here && !g.config.Partitioned}
	}
	return heading{node: node}
}

// carry brings an errand where it goes.
func (g *Gateway) carry(e *errand, to heading) {
	if to.here {
		g.execute(e)
		return
	}
	if e.hops >= maxHops {
		g.refuse(e, fmt.Errorf("%w: partition %d: the request was passed on %d times", store.ErrUnavailable, e.partition, e.hops))
		return
	}
	m := e.request.passTo(g.subjects.passed(to.node, e.partition, e.request.path), e.hops, e.deadline)
	if err := g.passage.send(m, &passing{gateway: g, errand: e, node: to.node}); err != nil {
		g.refuse(e, fmt.Errorf("%w: pass on to node %s: %w", store.ErrUnavailable, to.node, err))
	}
}

// passing is an errand on its way to another node.
type passing struct {
	gateway *Gateway
	errand  *errand
	node    string
}

// arrived ends the errand here: the other node answers it.
func (t *passing) arrived() {
	g, e := t.gateway, t.errand
	if e.meter == nil {
		g.metrics.forwarded.get.Inc()
	} else {
		g.metrics.forwarded.command.Inc()
	}
	e.request.passed()
	g.release(e.size)
	g.reached(e.partition, t.node)
}

// returned parks the errand: nobody was there.
func (t *passing) returned() { t.gateway.parkAgain(t.errand, t.node) }

// unavailable says why an errand is at rest.
func (g *Gateway) unavailable(e *errand) error {
	p := &g.partitions[e.partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	to := g.heading(p)
	switch {
	case p.suspect != "" && p.suspect == to.node:
		return fmt.Errorf("%w: partition %d is served by node %s, which does not respond", store.ErrUnavailable, p.number, p.suspect)
	case to == (heading{}) && p.stance != held:
		return fmt.Errorf("%w: no node serves partition %d at the moment", store.ErrUnavailable, p.number)
	}
	return fmt.Errorf("%w: partition %d moves between nodes", store.ErrUnavailable, p.number)
}
