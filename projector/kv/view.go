package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/projector"
)

// view is one bucket of documents.
type view struct {
	bucket
	name  string
	names names
}

// maxBatch is the largest atomic batch that a server takes by default.
const maxBatch = 1000

// MaxChanges implements [projector.View].
func (v *view) MaxChanges() int { return maxBatch - 1 }

// Torn implements [projector.View]. A disk may keep a block that was written
// later and lose an earlier one.
func (v *view) Torn() bool { return true }

// Get implements [projector.View]. The newest checkpoint is asked for together with
// the documents: a replica answers all of it at one instant, and what it has
// for the checkpoint shows whether it is far enough.
func (v *view) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	subjects := make([]string, 0, len(keys)+1)
	for _, key := range keys {
		subject, err := v.names.document(key)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject)
	}
	upTo := newest(since)
	if upTo.Revision > 0 {
		subjects = append(subjects, v.names.checkpoint(upTo.Worker))
	}
	var docs []projector.Document
	err := v.fresh(ctx, func() (fresh bool, err error) {
		last, err := v.fromAny(ctx, getRequest{MultiLast: subjects}, len(subjects))
		if err != nil || last.left > 0 {
			return false, errors.Join(err, leftOut(last.left))
		}
		docs, err = v.toDocuments(last.found)
		return last.furthest() >= upTo.Revision, err
	})
	if err != nil {
		return nil, v.failed("get documents", err)
	}
	return docs, nil
}

// newest returns the checkpoint with the highest revision: what has that has all
// of them. The zero Checkpoint without any.
func newest(all []projector.Checkpoint) (c projector.Checkpoint) {
	for _, other := range all {
		if other.Revision > c.Revision {
			c = other
		}
	}
	return c
}

func leftOut(n uint64) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("the server left out %d documents", n)
}
