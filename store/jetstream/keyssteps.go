package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// begin finds the epoch that counts, and the next, which it makes if it is not there.
func (r *rotation) begin(ctx context.Context) error {
	return steadily(ctx, func(ctx context.Context) error {
		numbers, err := r.keys.epochs(ctx)
		if err != nil {
			return err
		}
		from, realm, err := r.keys.find(ctx)
		if err != nil {
			return err
		}
		from.durable.barrier = r.keys.cfg.Barrier
		r.from, r.to = from, nil
		for _, number := range numbers {
			e := newKeysEpoch(r.keys.cfg.Namespace, number)
			switch {
			case number < from.number: // what a rotation has left that another had overtaken
				err = r.drop(ctx, e)
			case number > from.number && r.to == nil:
				r.to = e
			}
			if err != nil {
				return err
			}
		}
		return r.prepare(ctx, realm)
	})
}

// prepare makes the next epoch, with as many copies as this one has, and in the same place.
func (r *rotation) prepare(ctx context.Context, realm uuid.UUID) error {
	if r.to == nil {
		if err := r.keys.before("create"); err != nil {
			return err
		}
		r.to = newKeysEpoch(r.keys.cfg.Namespace, r.from.number+1)
		config := keysConfig(r.keys.cfg, r.to, realm, stateFilling)
		old, err := r.keys.info(ctx, r.from, nil)
		if err != nil {
			return err
		}
		config.Replicas, config.Placement, config.Compression = old.Config.Replicas, old.Config.Placement, old.Config.Compression
		r.keys.cfg.Changing()
		if _, err := r.js.CreateStream(ctx, config); err != nil && !errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
			return err
		}
	}
	r.to.replicas, r.to.durable.barrier = r.from.replicas, r.keys.cfg.Barrier
	r.count.Epoch = r.to.number
	info, err := r.keys.info(ctx, r.to, nil)
	if gone(err) { // a cluster's servers learn of it one after the other
		return errLeaving
	}
	if err != nil {
		return err
	}
	_, err = verifyKeys(KeysConfig{Namespace: r.keys.cfg.Namespace, Realm: realm, Replicas: 1, InMemory: true}, r.to, info.Config)
	r.ready = info.Config.Metadata[metaState] == stateReady
	return err
}

// seal lets nothing more into the old stream.
func (r *rotation) seal(ctx context.Context) error {
	return r.change(ctx, r.from, func(c *natsjs.StreamConfig) bool {
		was := c.Sealed
		c.Sealed = true
		return !was
	})
}

// makeReady says that the new stream is complete. What was copied is on the disk then.
func (r *rotation) makeReady(ctx context.Context) error {
	if r.keys.cfg.Barrier != nil {
		if err := r.keys.cfg.Barrier(ctx); err != nil {
			return err
		}
	}
	return r.change(ctx, r.to, func(c *natsjs.StreamConfig) bool {
		was := c.Metadata[metaState]
		c.Metadata = maps.Clone(c.Metadata)
		c.Metadata[metaState] = stateReady
		return was != stateReady
	})
}

// change changes the settings of a stream, if there is anything to change.
func (r *rotation) change(ctx context.Context, e *keysEpoch, edit func(*natsjs.StreamConfig) bool) error {
	return steadily(ctx, func(ctx context.Context) error {
		info, err := r.keys.info(ctx, e, nil)
		if err != nil || !edit(&info.Config) {
			return err
		}
		r.keys.cfg.Changing()
		_, err = r.js.UpdateStream(ctx, info.Config)
		return err
	})
}

// remove deletes the old stream, if it has nothing that the new one lacks.
func (r *rotation) remove(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.drop(ctx, r.from); err != nil {
		return err
	}
	r.keys.leave(r.from)
	return nil
}

// drop deletes the stream of an epoch, and returns when it is not listed any more.
func (r *rotation) drop(ctx context.Context, e *keysEpoch) error {
	return steadily(ctx, func(ctx context.Context) error {
		r.keys.cfg.Changing()
		err := r.js.DeleteStream(ctx, e.stream.name)
		if err == nil {
			return errLeaving // until it is not found
		}
		if errors.Is(err, natsjs.ErrStreamNotFound) {
			return nil
		}
		return err
	})
}

// errLeaving says that not all servers know yet that a stream was made or deleted.
var errLeaving = errors.New("not all servers know of it yet")

// compare refuses to go on unless the new stream has as many records as the old one,
// and the old one's last. What is sealed does not change; but the server may count
// records that it cannot read.
func (r *rotation) compare(ctx context.Context) error {
	return steadily(ctx, func(ctx context.Context) error {
		from, err := r.records(ctx, r.from)
		if err != nil {
			return err
		}
		to, err := r.records(ctx, r.to)
		if err != nil {
			return err
		}
		if from != to {
			return fmt.Errorf("%w: the old stream counts %d subjects, the new one has %d", store.ErrDamaged, from, to)
		}
		return nil
	})
}

// records counts the subjects that have a record.
func (r *rotation) records(ctx context.Context, e *keysEpoch) (int, error) {
	info, err := r.keys.info(ctx, e, fmt.Appendf(nil, `{"subjects_filter":%q}`, e.rotation))
	if err != nil {
		return 0, err
	}
	return info.State.Count - len(info.State.Subjects), nil
}
