package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// view is one bucket.
type view struct {
	name    string
	names   names
	conn    *nats.Conn
	inbox   *inbox
	barrier func(context.Context) error // nil if none is needed
}

// maxBatch is the largest atomic batch that a server takes by default.
const maxBatch = 1000

// MaxChanges implements [projector.View].
func (v *view) MaxChanges() int { return maxBatch - 1 }

// Torn implements [projector.View]. A disk may keep a block that was written
// later and lose an earlier one.
func (v *view) Torn() bool { return true }

// Get implements [projector.View]. The checkpoint is asked for together with
// the documents: a replica answers all of it at one instant, and what it has
// for the checkpoint shows whether it is far enough.
func (v *view) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	subjects := make([]string, 0, len(keys)+len(since))
	for _, key := range keys {
		subject, err := v.names.document(key)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject)
	}
	for _, c := range since {
		if c.Revision > 0 {
			subjects = append(subjects, v.names.checkpoint(c.Worker))
		}
	}
	var docs []projector.Document
	err := v.fresh(ctx, func() (fresh bool, err error) {
		last, err := v.fromAny(ctx, getRequest{MultiLast: subjects}, len(subjects))
		if err != nil || last.left > 0 {
			return false, errors.Join(err, leftOut(last.left))
		}
		docs, err = v.toDocuments(last.found)
		return last.furthest() >= newest(since), err
	})
	if err != nil {
		return nil, v.failed("get documents", err)
	}
	return docs, nil
}

// newest is the highest revision of the checkpoints, 0 without any.
func newest(all []projector.Checkpoint) (revision uint64) {
	for _, c := range all {
		revision = max(revision, c.Revision)
	}
	return revision
}

func leftOut(n uint64) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("the server left out %d documents", n)
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

// durable returns when all that the server has acknowledged is on the disk.
func (v *view) durable(ctx context.Context) error {
	if v.barrier == nil {
		return nil
	}
	if err := v.barrier(ctx); err != nil {
		return fmt.Errorf("wait for the disk: %w", err)
	}
	return nil
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
