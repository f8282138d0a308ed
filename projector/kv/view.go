package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// view is one bucket.
type view struct {
	name  string
	names names
	conn  *nats.Conn
	inbox *inbox
}

// maxBatch is the largest atomic batch that a server takes by default.
const maxBatch = 1000

// MaxChanges implements [projector.View].
func (v *view) MaxChanges() int { return maxBatch - 1 }

// Load implements [projector.View]. The leader answers; if it was deposed
// without knowing, the checkpoint may be an old one, and then the next commit
// is refused.
func (v *view) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	c, _, err := v.checkpoint(ctx, worker)
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	if err := v.scanAhead(ctx, &c); err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	return c, nil
}

// checkpoint returns the worker's checkpoint and which commit wrote it.
func (v *view) checkpoint(ctx context.Context, worker string) (projector.Checkpoint, string, error) {
	c := projector.Checkpoint{Worker: worker}
	m, err := v.fromLeader(ctx, getRequest{Last: v.names.checkpoint(worker)})
	if err != nil || m == nil {
		return c, "", err
	}
	if !m.deleted() {
		if err := json.Unmarshal(m.data, &c); err != nil {
			return c, "", fmt.Errorf("%s: %w: %w", m.subject, store.ErrDamaged, err)
		}
	}
	c.Worker, c.Revision = worker, m.sequence
	return c, m.header.Get(commitHeader), nil
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

// Get implements [projector.View]. The checkpoint is asked for together with
// the documents: a replica answers all of it at one instant, and what it has
// for the checkpoint shows whether it is far enough.
func (v *view) Get(ctx context.Context, keys []string, since projector.Checkpoint) ([]projector.Document, error) {
	subjects := make([]string, 0, len(keys)+1)
	for _, key := range keys {
		subject, err := v.names.document(key)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject)
	}
	if since.Revision > 0 {
		subjects = append(subjects, v.names.checkpoint(since.Worker))
	}
	var docs []projector.Document
	err := v.fresh(ctx, func() (fresh bool, err error) {
		found, left, err := v.fromAny(ctx, getRequest{MultiLast: subjects}, len(subjects))
		if err != nil || left > 0 {
			return false, errors.Join(err, leftOut(left))
		}
		docs, err = v.toDocuments(found)
		return furthest(found) >= since.Revision, err
	})
	if err != nil {
		return nil, v.failed("get documents", err)
	}
	return docs, nil
}

func leftOut(n uint64) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("the server left out %d documents", n)
}

// List implements [projector.View]. The cursor is the sequence of the last
// message seen. A document that changes moves to the end, so it can be missed
// only where a replica that is behind says that there is no more: the last page
// must come from one that has what the leader had before.
func (v *view) List(ctx context.Context, cursor string, limit int, since projector.Checkpoint) ([]projector.Document, string, error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	var docs []projector.Document
	var next string
	err = v.fresh(ctx, func() (bool, error) {
		leader, _, err := v.checkpoint(ctx, since.Worker)
		if err != nil {
			return false, err
		}
		found, left, err := v.fromAny(ctx, getRequest{Sequence: after + 1, Batch: limit}, limit)
		if err != nil {
			return false, err
		}
		if docs, err = v.toDocuments(found); err != nil {
			return false, err
		}
		last := max(after, furthest(found))
		if next = ""; left > 0 {
			next = strconv.FormatUint(last, 10)
		}
		return left > 0 || last >= max(leader.Revision, since.Revision), nil
	})
	if err != nil {
		return nil, "", v.failed("list documents", err)
	}
	return docs, next, nil
}

func parseCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
	}
	return after, nil
}

// freshWait bounds how long a read is repeated because replicas are behind or
// nobody answers.
const freshWait = 5 * time.Second

// fresh repeats a read until its answer is fresh enough.
func (v *view) fresh(ctx context.Context, read func() (fresh bool, err error)) error {
	deadline := time.Now().Add(freshWait)
	for try := 0; ; try++ {
		ok, err := read()
		if ok && err == nil {
			return nil
		}
		if errors.Is(err, store.ErrDamaged) || v.conn.IsClosed() || time.Now().After(deadline) {
			if err == nil {
				err = errors.New("no replica is as far as the view")
			}
			return err
		}
		if pause(ctx, try) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (v *view) toDocuments(found []*message) ([]projector.Document, error) {
	docs := make([]projector.Document, 0, len(found))
	for _, m := range found {
		d, ok, err := v.toDocument(m)
		if err != nil {
			return nil, err
		}
		if ok {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

func furthest(found []*message) uint64 {
	if len(found) == 0 {
		return 0
	}
	return found[len(found)-1].sequence
}

// failed names the view in an error, which matches ErrUnavailable if it is of
// no other kind.
func (v *view) failed(doing string, err error) error {
	doing = fmt.Sprintf("view %s: %s", v.name, doing)
	for _, kind := range []error{store.ErrDamaged, store.ErrInvalid, store.ErrTooLarge, store.ErrUnknown, projector.ErrFenced} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return unavailable(doing, err)
}
