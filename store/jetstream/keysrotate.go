package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// KeysRotated says how far a rotation has come.
type KeysRotated struct {
	// Epoch is the one that the keys are moved to.
	Epoch uint64 `json:"epoch"`
	// Records is how many records were moved, Total how many there are, and Rewrapped how
	// many of those that were moved have their key wrapped anew.
	Records   int `json:"records"`
	Total     int `json:"total"`
	Rewrapped int `json:"rewrapped"`
}

// RotateKeys moves all records to a stream of its own, and deletes the old one with all
// files: what was erased before is in no file of any server then, nor is what rewrap has
// replaced. rewrap, if not nil, returns a record with the same key wrapped anew, or as
// it is; it is called from several goroutines at a time. progress, if not nil, is told
// of each record, by one goroutine at a time.
//
// Meanwhile records can be read and not changed: [Keys.Store] and [Keys.Erase] wait, up
// to ten seconds, and go on in the new stream by themselves. That lasts as long as rewrap
// takes for all, so have [privacy.Rewrap] do it before. Every reader of [Keys.Follow]
// begins anew.
//
// A rotation that was interrupted must be gone on with: the same call does so, and waits
// six seconds first to see that nobody is at it. The error matches [store.ErrConflict] if another
// rotation is under way, [store.ErrDamaged] if the old stream does not deliver all that
// it counts, in which case it stays, and [store.ErrUnavailable] if the server could not
// be asked.
func (k *Keys) RotateKeys(ctx context.Context, rewrap func(context.Context, privacy.Record) (privacy.Record, error), progress func(KeysRotated)) (KeysRotated, error) {
	if rewrap == nil {
		rewrap = func(_ context.Context, r privacy.Record) (privacy.Record, error) { return r, nil }
	}
	if progress == nil {
		progress = func(KeysRotated) {}
	}
	r := &rotation{keys: k, rewrap: rewrap, progress: progress}
	err := r.run(ctx)
	if err != nil {
		if gone(err) || errors.Is(err, errSealed) || errors.Is(err, natsjs.ErrStreamNotFound) {
			err = fmt.Errorf("%w: another rotation was faster: %w", store.ErrConflict, err)
		} else if !final(err) {
			err = unavailable(err)
		}
		err = fmt.Errorf("rotate keys of %s: %w", k.cfg.Namespace, err)
	}
	return r.count, err
}

// steadily repeats a step of a rotation while it may succeed soon.
func steadily(ctx context.Context, step func(context.Context) error) error {
	patience, cancel := context.WithTimeout(ctx, 3*keysPatience)
	defer cancel()
	for try := 0; ; try++ {
		once, stop := context.WithTimeout(patience, 2*requestWait)
		err := step(once)
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return unavailable(context.Cause(ctx))
		}
		var api *natsjs.APIError
		refused := errors.As(err, &api) && !isTransientCode(int(api.ErrorCode))
		if refused || final(err) || gone(err) || errors.Is(err, errSealed) || pause(patience, try) != nil {
			return err
		}
	}
}

// rotation is one RotateKeys under way.
type rotation struct {
	keys     *Keys
	rewrap   func(context.Context, privacy.Record) (privacy.Record, error)
	progress func(KeysRotated)
	js       natsjs.JetStream

	from, to *keysEpoch
	ready    bool // what is moved to was complete when it was found
	count    KeysRotated
}

// run takes the steps, each of which may have been taken before. The old stream is
// sealed only when the new one is there and a key could be wrapped; the new one is ready
// only when it has all; the old one goes last, and only then the new one counts.
func (r *rotation) run(ctx context.Context) (err error) {
	if r.js, err = natsjs.New(r.keys.cfg.Conn); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	l, err := r.keys.claim(ctx, r.to)
	if err != nil {
		return err
	}
	held, release := l.hold(ctx)
	err = r.move(held)
	if err != nil && ctx.Err() == nil && held.Err() != nil {
		err = context.Cause(held)
	}
	release()
	_ = l.say(ctx, leaseWord{By: l.by, Done: true}) // who comes next need not wait for the lease to grow old
	return err
}

func (r *rotation) move(ctx context.Context) error {
	for _, step := range []struct {
		name string
		take func(context.Context) error
	}{
		{"rehearse", r.rehearse},
		{"seal", r.seal},
		{"copy", r.copy},
		{"ready", r.makeReady},
		{"delete", r.remove},
	} {
		if err := r.keys.before(step.name); err != nil {
			return err
		}
		if err := step.take(ctx); err != nil {
			return err
		}
	}
	return nil
}

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

// prepare makes the next epoch, with as many copies as this one has.
func (r *rotation) prepare(ctx context.Context, realm uuid.UUID) error {
	if r.to == nil {
		if err := r.keys.before("create"); err != nil {
			return err
		}
		r.to = newKeysEpoch(r.keys.cfg.Namespace, r.from.number+1)
		config := keysConfig(r.keys.cfg, r.to, realm, stateFilling)
		config.Replicas = r.from.replicas
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
