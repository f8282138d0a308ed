package cluster

import (
	"context"
	"encoding/json"
	"time"
)

// tenure is what this node does about a slot.
type tenure struct {
	epoch uint64 // that it is served under; 0: it is not served here
	// busy says that a goroutine takes, claims or releases the slot: nobody else
	// does anything about it meanwhile.
	busy  bool
	again time.Time // when what failed may be tried again
}

const (
	// maxMoves is how many slots are handed over at the same time: each of them
	// is not served for a moment, the others are.
	maxMoves = 8
	// maxClaims is how many writes to the directory run at the same time.
	maxClaims = 32
	// retryPause is how long a slot rests after something about it failed.
	retryPause = 100 * time.Millisecond
	// writeTimeout bounds one write to the directory.
	writeTimeout = 2 * time.Second
)

// steer brings what this node serves to what it should serve, whenever the
// directory changes or time has passed that something waited for.
func (c *Cluster) steer(ctx context.Context) {
	claims := make(chan struct{}, maxClaims)
	for next := time.Duration(0); tick(ctx, c.wake, next); {
		next = c.consider(ctx, claims)
		c.publish()
	}
}

// step is something to do about a slot.
type step struct {
	slot Slot
	do   func(ctx context.Context, slot Slot)
}

// consider looks at every slot and starts what is to be done. It returns after
// what time to look again even if nothing changes.
func (c *Cluster) consider(ctx context.Context, claims chan struct{}) (next time.Duration) {
	now := time.Now()
	steps, next := c.steps(now)
	for _, s := range steps {
		c.works.Go(func() {
			claims <- struct{}{}
			s.do(ctx, s.slot)
			<-claims
		})
	}
	return next
}

// steps decides what to do, and marks those slots busy.
func (c *Cluster) steps(now time.Time) (steps []step, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	me, session := c.identity()
	if c.plan == nil || c.plan.membership != d.membership {
		c.plan = d.plan(c.config.Partitions)
	}
	settled := now.Sub(d.since) >= c.config.Settle || d.nodes[me].Leaving
	next = time.Second
	soon := func(at time.Time) { next = min(next, max(time.Until(at), time.Millisecond)) }
	for _, slot := range c.slots() {
		t := c.tenure[slot]
		if t == nil {
			t = &tenure{}
			c.tenure[slot] = t
		}
		if t.busy {
			continue
		}
		if now.Before(t.again) {
			soon(t.again)
			continue
		}
		do, at := c.step(slot, t, me, session, settled, now)
		if do == nil {
			if !at.IsZero() {
				soon(at)
			}
			continue
		}
		t.busy = true
		steps = append(steps, step{slot, do})
	}
	return steps, next
}

// identity returns this node's name and session. mu is held.
func (c *Cluster) identity() (name, session string) {
	l := c.lease.Load()
	if l == nil {
		return c.config.Node.Name, ""
	}
	record, revision := l.session()
	if revision == 0 {
		return record.Name, ""
	}
	return record.Name, record.Session
}

// slots are all that there are to be had. mu is held.
func (c *Cluster) slots() []Slot {
	all := make([]Slot, 0, c.config.Partitions+len(c.config.Duties))
	for p := range c.config.Partitions {
		all = append(all, Slot{Partition: p})
	}
	for _, d := range c.config.Duties {
		all = append(all, Slot{Duty: d})
	}
	return all
}

// step decides what to do about one slot, nil if nothing, and when to look
// again. The locks of the cluster and of the directory are held.
func (c *Cluster) step(slot Slot, t *tenure, me, session string, settled bool, now time.Time) (do func(context.Context, Slot), at time.Time) {
	d := c.directory
	h := d.held[slot]
	mine := session != "" && h.Node == me && h.Session == session
	wanted := c.plan.wants(slot)
	switch {
	case t.epoch != 0 && (!mine || h.revision != t.epoch):
		return c.lost, at
	case mine && t.epoch == 0:
		return c.take, at
	case mine && wanted == me || mine && wanted == "" && !d.nodes[me].Leaving:
		return nil, at
	case mine && !settled:
		return nil, d.since.Add(c.config.Settle)
	case mine && c.moving < maxMoves:
		c.moving++
		return c.handOver, at
	case mine || wanted != me || session == "":
		return nil, at
	}
	from, _, held := d.free(slot, now)
	switch {
	case held:
		return nil, at
	case now.Before(from):
		return nil, from
	}
	return c.claim, at
}

// done ends what a goroutine did about a slot. epoch is that under which it is
// served from now on, 0 if it is not.
func (c *Cluster) done(slot Slot, epoch uint64, failed bool) {
	c.mu.Lock()
	t := c.tenure[slot]
	t.busy, t.epoch = false, epoch
	if failed {
		t.again = time.Now().Add(retryPause)
	}
	c.mu.Unlock()
	signal(c.wake)
}

// claim writes this node's name where nobody's is.
func (c *Cluster) claim(ctx context.Context, slot Slot) {
	c.directory.mu.Lock()
	from, revision, held := c.directory.free(slot, time.Now())
	c.directory.mu.Unlock()
	if held || time.Now().Before(from) {
		c.done(slot, 0, false)
		return
	}
	name, session := c.identity()
	epoch, err := c.writeHolding(ctx, slot, name, session, revision)
	if err != nil {
		// Not known, or somebody was quicker: what is read next tells.
		signal(c.read)
		c.done(slot, 0, true)
		return
	}
	c.metrics.claims.Inc()
	c.serve(slot, epoch)
}

// take begins to serve what the directory says is this node's: an owner before
// wrote its name there.
func (c *Cluster) take(_ context.Context, slot Slot) {
	c.directory.mu.Lock()
	epoch := c.directory.held[slot].revision
	c.directory.mu.Unlock()
	c.serve(slot, epoch)
}

// serve makes the handler take the slot. Its epoch is set before: what arrives
// at once is served under it.
func (c *Cluster) serve(slot Slot, epoch uint64) {
	c.setEpoch(slot, epoch)
	if err := c.config.Handler.Take(slot, epoch); err != nil {
		c.config.Logger.Error("slot not taken", "slot", slot.String(), "err", err)
		c.setEpoch(slot, 0)
		c.done(slot, 0, true)
		return
	}
	c.done(slot, epoch, false)
}

func (c *Cluster) setEpoch(slot Slot, epoch uint64) {
	if slot.Duty == "" {
		c.epochs[slot.Partition].Store(epoch)
	}
}

// lost forgets a slot that the directory says is another's.
func (c *Cluster) lost(_ context.Context, slot Slot) {
	c.setEpoch(slot, 0)
	c.config.Handler.Drop(slot)
	c.metrics.losses.Inc()
	c.config.Logger.Warn("slot lost", "slot", slot.String(), "node", c.config.Node.Name)
	c.done(slot, 0, false)
}

// writeHolding writes who holds a slot, over the record at that revision, and
// takes what it wrote into the directory at once.
func (c *Cluster) writeHolding(ctx context.Context, slot Slot, node, session string, revision uint64) (uint64, error) {
	value, err := json.Marshal(holdingRecord{Node: node, Session: session, Since: time.Now().UTC()})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	key := slotKey(slot)
	epoch, err := c.bucket.write(ctx, key, value, revision, 0)
	if err != nil {
		return 0, err
	}
	c.learn(change{key: key, value: value, revision: epoch, before: revision})
	c.bucket.announce(epoch)
	return epoch, nil
}

// learn takes in a change that this node made, before it is read.
func (c *Cluster) learn(ch change) {
	if c.directory.apply(ch, time.Now()) {
		signal(c.wake)
	}
}
