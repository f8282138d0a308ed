package cluster

import (
	"context"
	"maps"
	"slices"
)

// view is who serves what, as far as this node knows. It is replaced, never
// changed.
type view struct {
	owners  []string // by partition; "" for nobody
	runners map[string]string
	changed chan struct{} // closed when there is another view
}

// Owner implements [Placement].
func (c *Cluster) Owner(partition int) (node string, here bool) {
	if partition < 0 || partition >= len(c.epochs) {
		return "", false
	}
	if c.epochs[partition].Load() != 0 {
		return c.config.Node.Name, true
	}
	owners := c.view.Load().owners
	if partition >= len(owners) || owners[partition] == c.config.Node.Name {
		return "", false // claimed, and not yet served
	}
	return owners[partition], false
}

// Runner implements [Placement].
func (c *Cluster) Runner(duty string) (node string, here bool) {
	node = c.view.Load().runners[duty]
	return node, node != "" && node == c.config.Node.Name
}

// Changed implements [Placement].
func (c *Cluster) Changed() <-chan struct{} { return c.view.Load().changed }

// Epoch returns the epoch under which this node serves a partition, 0 if it
// does not, and whether the lease is valid at this moment. Whoever answers from
// memory asks before, and again at the moment of answering: if the epoch is
// the same and valid, nobody else served in between.
func (c *Cluster) Epoch(partition int) (epoch uint64, valid bool) {
	if partition < 0 || partition >= len(c.epochs) {
		return 0, false
	}
	epoch = c.epochs[partition].Load()
	if epoch == 0 {
		return 0, false
	}
	l := c.lease.Load()
	return epoch, l != nil && l.valid()
}

// Confirm returns nil once it is certain, whatever the clocks say, that nobody
// else served the partition before the call: a renewal that was sent after it
// has been stored. Otherwise the error matches [ErrNotHeld], or is ctx's.
func (c *Cluster) Confirm(ctx context.Context, partition int, epoch uint64) error {
	l := c.lease.Load()
	if l == nil || partition < 0 || partition >= len(c.epochs) {
		return ErrNotHeld
	}
	if err := l.prove(ctx); err != nil {
		return err
	}
	if c.epochs[partition].Load() != epoch || c.lease.Load() != l {
		return ErrNotHeld
	}
	return nil
}

// Session returns the id of this life of the node, and whether its lease is
// valid.
func (c *Cluster) Session() (id string, valid bool) {
	l := c.lease.Load()
	if l == nil {
		return "", false
	}
	record, _ := l.session()
	return record.Session, l.valid()
}

// publish makes a new view of the directory and of what is served here, and
// tells whoever waits if it differs.
func (c *Cluster) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.look()
	was := c.view.Load()
	if slices.Equal(was.owners, next.owners) && maps.Equal(was.runners, next.runners) {
		return
	}
	next.changed = make(chan struct{})
	c.view.Store(next)
	close(was.changed)
}

// look is called with mu held. What this node has claimed but does not serve
// yet has its name only where it is served.
func (c *Cluster) look() *view {
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	v := &view{owners: make([]string, c.config.Partitions), runners: map[string]string{}}
	for slot, h := range c.directory.held {
		if h.Node == "" || !c.directory.alive(h.Node, h.Session) {
			continue
		}
		if t := c.tenure[slot]; h.Node == c.config.Node.Name && (t == nil || t.epoch == 0) {
			continue
		}
		if slot.Duty != "" {
			v.runners[slot.Duty] = h.Node
		} else if slot.Partition < len(v.owners) {
			v.owners[slot.Partition] = h.Node
		}
	}
	return v
}
