package kv

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Load implements [projector.View]. The leader answers; if it was deposed
// without knowing, the checkpoint may be an old one, and then the next commit
// is refused.
//
// What was read is on the disk before the next commit may replace it: whoever
// stored it may not have waited, or not to the end.
func (v *view) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	c, err := v.wholeCheckpoint(ctx, worker)
	if err == nil {
		err = v.scanAhead(ctx, &c)
	}
	if err == nil {
		err = v.durable(ctx)
	}
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	return c, nil
}

// wholeCheckpoint returns the last checkpoint whose commit is whole. If that is
// the one before the last, it has the last one's revision, for that is what the
// next commit must expect, and documents may reach as far as the last one says.
func (v *view) wholeCheckpoint(ctx context.Context, worker string) (projector.Checkpoint, error) {
	m, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || m == nil {
		return projector.Checkpoint{Worker: worker}, err
	}
	last, err := m.checkpoint(worker)
	if err != nil {
		return last, err
	}
	whole, err := v.whole(ctx, m)
	if err != nil || whole {
		return last, err
	}
	c, err := v.before(ctx, m, worker)
	c.Revision, c.Furthest = last.Revision, max(c.Furthest, last.Position, last.Furthest)
	return c, err
}

// before returns the checkpoint before the last one. There is none if the first
// commit was torn, or two in a row: then the view is applied again from the first
// event, and each document skips what it has.
func (v *view) before(ctx context.Context, last *message, worker string) (projector.Checkpoint, error) {
	none := projector.Checkpoint{Worker: worker}
	m, err := v.fromLeader(ctx, getRequest{Sequence: 1, Next: last.subject})
	if err != nil || m == nil || m.sequence >= last.sequence {
		return none, err
	}
	if whole, err := v.whole(ctx, m); err != nil || !whole {
		return none, err
	}
	return m.checkpoint(worker)
}

// whole reports whether everything that was committed with the checkpoint is
// there: a disk may keep a block that was written later and lose an earlier one.
// What lies in the batch's sequences is counted, not read. The commit after this
// one takes none of it away, for it leaves the value before its own in place.
func (v *view) whole(ctx context.Context, m *message) (whole bool, err error) {
	size := sequenceIn(m.header, batchSequence) // the checkpoint is the last of its batch
	if size < 2 {
		return true, nil
	}
	if size > m.sequence {
		return false, nil
	}
	err = v.fresh(ctx, func() (fresh bool, err error) {
		all, err := v.fromAny(ctx, getRequest{Sequence: m.sequence - size + 1, Batch: 1}, 1)
		if err != nil {
			return false, err
		}
		rest, err := v.fromAny(ctx, getRequest{Sequence: m.sequence, Batch: 1}, 1)
		whole = all.left == rest.left+size-1
		return rest.furthest() >= m.sequence, err
	})
	return whole, err
}

// scanAhead looks for documents that are stored after the checkpoint. The
// checkpoint is the last message of its batch, so there are none unless a power
// cut tore one: one request, which finds nothing, tells.
func (v *view) scanAhead(ctx context.Context, c *projector.Checkpoint) error {
	for from := c.Revision + 1; ; {
		m, err := v.fromLeader(ctx, getRequest{Sequence: from, Next: v.names.documents})
		if err != nil || m == nil {
			return err
		}
		if d, ok, err := v.toDocument(m); err != nil {
			return err
		} else if ok {
			c.Furthest = max(c.Furthest, d.Position)
		}
		from = m.sequence + 1
	}
}

// checkpoint returns the worker's last checkpoint and which commit wrote it.
func (v *view) checkpoint(ctx context.Context, worker string) (projector.Checkpoint, string, error) {
	m, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || m == nil {
		return projector.Checkpoint{Worker: worker}, "", err
	}
	c, err := m.checkpoint(worker)
	return c, m.header.Get(commitHeader), err
}

// checkpoint reads the message as the worker's checkpoint.
func (m *message) checkpoint(worker string) (c projector.Checkpoint, err error) {
	if !m.deleted() {
		if err := json.Unmarshal(m.data, &c); err != nil {
			return c, fmt.Errorf("%s: %w: %w", m.subject, store.ErrDamaged, err)
		}
	}
	c.Worker, c.Revision = worker, m.sequence
	return c, nil
}
