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
	c, at, err := v.wholeCheckpoint(ctx, worker)
	if err == nil {
		c.Furthest, err = v.furthest(ctx, at, c.Furthest)
	}
	if err == nil {
		err = v.durable(ctx)
	}
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	return c, nil
}

// wholeCheckpoint returns the last checkpoint whose commit is whole, and the
// sequence at which it is stored. Its revision is that of the last one in any
// case, for that is what the next commit has to expect.
func (v *view) wholeCheckpoint(ctx context.Context, worker string) (c projector.Checkpoint, at uint64, err error) {
	c.Worker = worker
	last, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || last == nil {
		return c, 0, err
	}
	m := last
	whole, err := v.whole(ctx, last)
	if err == nil && !whole {
		m, err = v.before(ctx, last)
	}
	if err != nil {
		return c, 0, err
	}
	if m != nil {
		c, err = m.checkpoint(worker)
		at = m.sequence
	}
	c.Revision = last.sequence
	return c, at, err
}

// before returns the checkpoint before the last one, nil if there is none. That
// is so if the first commit was torn, or two in a row: then the view is applied
// again from the first event, and each document skips what it has.
func (v *view) before(ctx context.Context, last *message) (*message, error) {
	first, err := v.fromLeader(ctx, getRequest{Sequence: 1, Next: last.subject})
	if err != nil || first == nil || first.sequence >= last.sequence {
		return nil, err
	}
	return first, nil
}

// whole reports whether everything that was committed with the checkpoint is
// there. A disk may keep a block that was written later and lose an earlier one.
// What lies in the batch's sequences is counted, not read: a later commit
// replaces none of it, for it leaves the value before its own in place.
func (v *view) whole(ctx context.Context, last *message) (whole bool, err error) {
	size := sequenceIn(last.header, batchSequence) // the checkpoint is the last of its batch
	if size < 2 {
		return true, nil
	}
	if size > last.sequence {
		return false, nil
	}
	err = v.fresh(ctx, func() (fresh bool, err error) {
		all, err := v.fromAny(ctx, getRequest{Sequence: last.sequence - size + 1, Batch: 1}, 1)
		if err != nil {
			return false, err
		}
		rest, err := v.fromAny(ctx, getRequest{Sequence: last.sequence, Batch: 1}, 1)
		whole = all.left == rest.left+size-1
		return rest.furthest() >= last.sequence, err
	})
	return whole, err
}

// furthest returns the highest position of the documents that are stored after
// a sequence, or known if that is higher. The checkpoint is the last message of its
// batch, so there are none behind it unless a power cut tore one: one request,
// which finds nothing, tells.
func (v *view) furthest(ctx context.Context, after uint64, known store.Position) (store.Position, error) {
	for {
		m, err := v.fromLeader(ctx, getRequest{Sequence: after + 1, Next: v.names.documents})
		if err != nil || m == nil {
			return known, err
		}
		d, _, err := v.toDocument(m)
		if err != nil {
			return known, err
		}
		known, after = max(known, d.Position), m.sequence
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
