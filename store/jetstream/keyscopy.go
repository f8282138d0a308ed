package jetstream

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// copyAtOnce is how many records are moved at a time: as many keys are wrapped side by
// side.
const copyAtOnce = 16

// rehearse reads all records, and wraps one key anew and throws that away: a record that
// cannot be read, or a service that does not answer, should be found before the old
// stream is sealed.
func (r *rotation) rehearse(ctx context.Context) error {
	if r.ready {
		return nil
	}
	counted, err := r.records(ctx, r.from)
	if err != nil {
		return err
	}
	seen, wrapped := 0, false
	err = r.each(ctx, func(record privacy.Record) (err error) {
		seen++
		if !wrapped && record.Key != (store.KeyID{}) {
			wrapped = true
			_, err = r.wrap(ctx, record)
		}
		return err
	})
	if err == nil && seen < counted {
		err = fmt.Errorf("%w: the stream counts %d subjects and delivers %d", store.ErrDamaged, counted, seen)
	}
	return err
}

// each calls do with all records of the old stream.
func (r *rotation) each(ctx context.Context, do func(privacy.Record) error) error {
	reader, last, err := r.keys.readAll(ctx, r.from, r.from.first()-1)
	if err != nil {
		return err
	}
	var failure error
	err = reader.all(ctx, last, func(record privacy.Record, _ error) bool {
		failure = do(record)
		return failure == nil
	})
	if failure != nil {
		return failure
	}
	return err
}

// copy copies all records, again until nothing came meanwhile: what was on its way
// when the stream was sealed may arrive a moment later.
func (r *rotation) copy(ctx context.Context) error {
	for try := 0; !r.ready; try++ {
		before, err := r.keys.lastRecord(ctx, r.from)
		if err != nil {
			return err
		}
		if r.count.Total, err = r.records(ctx, r.from); err != nil {
			return err
		}
		if err := r.copyAll(ctx); err != nil {
			return err
		}
		if err := r.quiet(ctx); err != nil {
			return err
		}
		after, err := r.keys.lastRecord(ctx, r.from)
		if err != nil {
			return err
		}
		if before == after {
			return r.compare(ctx)
		}
	}
	return nil
}

// quiet waits as long as a message may be on its way within a cluster.
func (r *rotation) quiet(ctx context.Context) error {
	if r.from.replicas < 2 {
		return nil
	}
	timer := time.NewTimer(maxPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *rotation) copyAll(ctx context.Context) error {
	var mu sync.Mutex
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(copyAtOnce)
	r.count.Records, r.count.Rewrapped = 0, 0
	err := r.each(ctx, func(record privacy.Record) error {
		g.Go(func() error {
			anew, err := r.copyOne(within, record)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			r.count.Records++
			if anew {
				r.count.Rewrapped++
			}
			r.progress(r.count)
			return nil
		})
		return within.Err()
	})
	if failure := g.Wait(); failure != nil {
		return failure
	}
	return err
}

// copyOne copies a record, unless that was done before, and reports whether its key was
// wrapped anew.
func (r *rotation) copyOne(ctx context.Context, record privacy.Record) (anew bool, err error) {
	copied, err := r.wrap(ctx, record)
	if err != nil {
		return false, err
	}
	anew = copied.WrappedBy != record.WrappedBy || !reflect.DeepEqual(copied.Wrapped, record.Wrapped)
	copied.Revision = 0
	err = r.put(ctx, copied)
	if errors.Is(err, store.ErrConflict) {
		err = r.mend(ctx, record.Subject)
	}
	return anew, err
}

// put stores a record in the new stream.
func (r *rotation) put(ctx context.Context, record privacy.Record) error {
	s, err := r.keys.newStoring(record)
	if err != nil {
		return err
	}
	s.copying = true
	return steadily(ctx, func(ctx context.Context) error { return s.try(ctx, r.to) })
}

// mend makes sure that what the new stream has of a subject is what the old one has now:
// a rotation that was interrupted may have copied it before it changed.
func (r *rotation) mend(ctx context.Context, subject string) error {
	token, err := store.EncodeToken(subject)
	if err != nil {
		return err
	}
	return steadily(ctx, func(ctx context.Context) error {
		from, err := r.keys.load(ctx, r.from, subject, token)
		if err != nil {
			return err
		}
		to, err := r.keys.load(ctx, r.to, subject, token)
		if err != nil || same(from, to) {
			return err
		}
		if from, err = r.wrap(ctx, from); err != nil {
			return err
		}
		from.Revision = to.Revision
		if err := r.put(ctx, from); err != nil {
			return err
		}
		return r.keys.erase(ctx, r.to, r.to.records+token, r.to.first()<<1)
	})
}

// same reports whether two records are the same but for how the key is wrapped.
func same(a, b privacy.Record) bool {
	a.Revision, a.Wrapped, a.WrappedBy = 0, nil, ""
	b.Revision, b.Wrapped, b.WrappedBy = 0, nil, ""
	return reflect.DeepEqual(a, b)
}

// wrap has the key of a record wrapped anew.
func (r *rotation) wrap(ctx context.Context, record privacy.Record) (privacy.Record, error) {
	if record.Key == (store.KeyID{}) {
		return record, nil
	}
	next, err := r.rewrap(ctx, record)
	if err != nil {
		return next, err
	}
	if next.Revision = record.Revision; !same(next, record) {
		return next, &store.InvalidError{What: "key record of", Value: record.Subject, Reason: "wrapping its key anew changed more than that"}
	}
	return next, nil
}
