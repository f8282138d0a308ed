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
// stored it may not have waited, or not to the end. Notes that a power cut left
// of a commit that does not count are taken back.
func (v *view) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	var c projector.Checkpoint
	err := v.fresh(ctx, func() (settled bool, err error) {
		var at uint64
		if c, at, err = v.wholeCheckpoint(ctx, worker); err != nil {
			return false, err
		}
		if err := v.scanAhead(ctx, &c); err != nil {
			return false, err
		}
		c, settled, err = v.takeBack(ctx, c, at)
		return settled, err
	})
	if err == nil {
		err = v.durable(ctx)
	}
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	return c, nil
}

// wholeCheckpoint returns the last checkpoint whose commit is whole, and where
// in the stream it is; 0 if there is none. If that is the one before the last, it
// has the last one's revision, for that is what the next commit must expect, and
// documents may reach as far as the last one says.
func (v *view) wholeCheckpoint(ctx context.Context, worker string) (c projector.Checkpoint, at uint64, err error) {
	none := projector.Checkpoint{Worker: worker}
	m, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || m == nil {
		return none, 0, err
	}
	last, err := m.checkpoint(worker)
	if err != nil {
		return none, 0, err
	}
	whole, err := v.whole(ctx, m)
	if err != nil || whole {
		return last, m.sequence, err
	}
	if m, err = v.before(ctx, m); err != nil {
		return none, 0, err
	}
	if c = none; m != nil {
		if c, err = m.checkpoint(worker); err != nil {
			return none, 0, err
		}
		at = m.sequence
	}
	c.Revision, c.Furthest = last.Revision, max(c.Furthest, last.Position, last.Furthest)
	return c, at, nil
}

// before returns the checkpoint before the last one. There is none if the first
// commit was torn, or two in a row: then the view is applied again from the first
// event, and each document skips what it has.
func (v *view) before(ctx context.Context, last *message) (*message, error) {
	m, err := v.fromLeader(ctx, getRequest{Sequence: 1, Next: last.subject})
	if err != nil || m == nil || m.sequence >= last.sequence {
		return nil, err
	}
	if whole, err := v.whole(ctx, m); err != nil || !whole {
		return nil, err
	}
	return m, nil
}

// whole reports whether everything that was committed with the checkpoint is
// there: a disk may keep a block that was written later and lose an earlier one.
// What lies in the batch's sequences is counted, and read only if the count is
// another, for a writer may have come between the questions. The worker's next
// commit takes none of it away, for it leaves the value before its own in place;
// and others write other keys.
func (v *view) whole(ctx context.Context, m *message) (whole bool, err error) {
	size := sequenceIn(m.header, batchSequence) // the checkpoint is the last of its batch
	if size < 2 {
		return true, nil
	}
	if size > m.sequence {
		return false, nil
	}
	first := m.sequence - size + 1
	err = v.fresh(ctx, func() (fresh bool, err error) {
		all, err := v.fromAny(ctx, getRequest{Sequence: first, Batch: 1}, 1)
		if err != nil {
			return false, err
		}
		rest, err := v.fromAny(ctx, getRequest{Sequence: m.sequence, Batch: 1}, 1)
		if err != nil {
			return false, err
		}
		if whole = all.left == rest.left+size-1; whole {
			return rest.furthest() >= m.sequence, nil
		}
		each, err := v.fromAny(ctx, getRequest{Sequence: first, Batch: int(size)}, int(size))
		whole = uint64(countThrough(each.found, m.sequence)) == size
		return whole || each.furthest() >= m.sequence, err
	})
	return whole, err
}

// maxWorkers is how many last checkpoints one answer holds.
const maxWorkers = 1024

// scanAhead looks for what is stored after the checkpoint. Each commit ends with
// a checkpoint, so documents behind the last one of all workers are there only
// if a power cut tore one: one request, which finds nothing, tells. What lies
// between the two are other workers' documents, which reach no further than their
// checkpoints say.
func (v *view) scanAhead(ctx context.Context, c *projector.Checkpoint) error {
	from := c.Revision
	err := v.fresh(ctx, func() (bool, error) {
		all, err := v.fromAny(ctx, getRequest{MultiLast: []string{v.names.checkpoint(anyCheckpoint)}}, maxWorkers)
		if err != nil || all.furthest() < c.Revision {
			return false, err
		}
		for _, m := range all.found {
			if m.sequence <= c.Revision {
				continue
			}
			other, err := m.checkpoint("")
			if err != nil {
				return false, err
			}
			c.Furthest = max(c.Furthest, other.Position, other.Furthest)
			from = m.sequence
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return v.scanFrom(ctx, from+1, c)
}

// scanFrom raises the checkpoint's Furthest to that of the documents from a
// sequence on. It ends where the stream did when the first was found: what comes
// behind is no remainder but a commit of others, who may write faster than this reads.
func (v *view) scanFrom(ctx context.Context, from uint64, c *projector.Checkpoint) error {
	for end := uint64(0); ; {
		m, err := v.fromLeader(ctx, getRequest{Sequence: from, Next: v.names.documents})
		if err != nil || m == nil || end > 0 && m.sequence > end {
			return err
		}
		if d, ok, err := v.toDocument(m); err != nil {
			return err
		} else if ok {
			c.Furthest = max(c.Furthest, d.Position)
		}
		if end == 0 {
			if end, err = v.end(ctx); err != nil {
				return err
			}
		}
		from = m.sequence + 1
	}
}

// end is the last sequence of the stream, as the leader has it.
func (v *view) end(ctx context.Context) (end uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	err = repeated(ctx, func(ctx context.Context) error {
		s, err := v.js.Stream(ctx, v.at.stream) // asks for its state
		if err == nil {
			end = s.CachedInfo().State.LastSeq
		}
		return err
	})
	return end, err
}

// revision returns that of the worker's last checkpoint, as the leader has it; 0
// if there is none.
func (v *view) revision(ctx context.Context, worker string) (uint64, error) {
	m, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || m == nil {
		return 0, err
	}
	return m.sequence, nil
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
