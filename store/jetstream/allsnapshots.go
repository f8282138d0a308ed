package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// AllSnapshots yields the snapshots of the namespace, in no order, each as it is
// when it is its turn. One that is damaged or gone by then is left out: a snapshot
// is a cache. They belong to the caller. The last pair has the error, if any:
// [store.ErrUnavailable], or ctx's.
func (l *Log) AllSnapshots(ctx context.Context) iter.Seq2[*store.Snapshot, error] {
	return func(yield func(*store.Snapshot, error) bool) {
		keys, err := l.snapshotKeys(ctx)
		if err != nil {
			yield(nil, fmt.Errorf("list snapshots of %s: %w", l.cfg.Namespace, unavailable(err)))
			return
		}
		for _, id := range keys {
			s, err := l.Snapshots().Load(ctx, id)
			if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
				continue
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// snapshotKeys returns the streams that have a snapshot.
func (l *Log) snapshotKeys(ctx context.Context) ([]store.StreamID, error) {
	js, err := natsjs.New(l.cfg.Conn)
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(ctx, l.names.bucket)
	if errors.Is(err, natsjs.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lister, err := bucket.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var all []store.StreamID
	for key := range lister.Keys() {
		typ, token, _ := strings.Cut(key, ".")
		if id, err := store.DecodeToken(token); err == nil {
			all = append(all, store.StreamID{Type: typ, ID: id})
		}
	}
	return all, ctx.Err()
}
