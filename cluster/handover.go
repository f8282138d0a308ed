package cluster

import (
	"context"
	"errors"
	"time"
)

// handOver passes a slot that is served here to the node that should serve it:
// nothing new is taken in, what is under way is finished under the lease that
// is still valid, and then one write names the heir, who may serve from that
// moment on and waits for nothing.
func (c *Cluster) handOver(ctx context.Context, slot Slot) {
	began := time.Now()
	defer func() {
		c.mu.Lock()
		c.moving--
		c.mu.Unlock()
		signal(c.wake)
	}()
	c.mu.Lock()
	epoch := c.tenure[slot].epoch
	c.mu.Unlock()
	release, cancel := context.WithTimeout(ctx, c.config.ReleaseTimeout)
	c.config.Handler.Release(release, slot)
	cancel()
	heir, session := c.heir(slot)
	if heir == c.config.Node.Name {
		c.serve(slot, epoch) // the plan changed meanwhile
		return
	}
	c.setEpoch(slot, 0)
	if c.bequeath(ctx, slot, epoch, heir, session) {
		c.done(slot, 0, false)
		c.config.Handler.Passed(slot, heir)
		c.metrics.handedOver(time.Since(began))
		return
	}
	c.config.Handler.Drop(slot)
	c.metrics.losses.Inc()
	c.done(slot, 0, true)
}

// heir returns who should have a slot now: nobody if that node has gone.
func (c *Cluster) heir(slot Slot) (node, session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	if c.plan.membership != c.directory.membership {
		c.plan = c.directory.plan(c.config.Partitions)
	}
	node = c.plan.wants(slot)
	if m, ok := c.directory.nodes[node]; ok {
		return node, m.Session
	}
	return "", ""
}

// bequeath writes the heir's name, as often as it takes to know that it is
// written. It reports false if somebody else wrote, or the session ended.
func (c *Cluster) bequeath(ctx context.Context, slot Slot, epoch uint64, heir, session string) bool {
	for ctx.Err() == nil {
		_, err := c.writeHolding(ctx, slot, heir, session, epoch)
		if err == nil {
			return true
		}
		if errors.Is(err, errMoved) {
			if err := c.catchUp(ctx, false); err == nil && c.movedOn(slot, epoch) {
				return c.names(slot, session)
			}
		}
		if _, mine := c.identity(); mine == "" {
			return false
		}
		tick(ctx, nil, retryPause/4)
	}
	return false
}

// movedOn reports whether the directory has a newer record of the slot.
func (c *Cluster) movedOn(slot Slot, epoch uint64) bool {
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	return c.directory.held[slot].revision > epoch
}

// names reports whether the slot's record names that session.
func (c *Cluster) names(slot Slot, session string) bool {
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	return c.directory.held[slot].Session == session
}
