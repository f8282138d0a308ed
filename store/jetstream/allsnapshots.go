package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

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

// snapshotKeys returns the streams that have a snapshot, or had one.
func (l *Log) snapshotKeys(ctx context.Context) (all []store.StreamID, err error) {
	subjects, err := subjectsIn(ctx, l.cfg.Conn, l.names.snapshots, l.names.keys+"*.*")
	if api := (*apiError)(nil); errors.As(err, &api) && api.ErrCode == codeStreamNotFound {
		return nil, nil
	}
	for _, s := range subjects {
		typ, token, _ := strings.Cut(strings.TrimPrefix(s, l.names.keys), ".")
		if id, err := store.DecodeToken(token); err == nil {
			all = append(all, store.StreamID{Type: typ, ID: id})
		}
	}
	return all, err
}
