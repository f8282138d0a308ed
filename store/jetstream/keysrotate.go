package jetstream

import (
	"context"
	"errors"
	"fmt"

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
	r.ready = r.ready && r.compare(ctx) == nil
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
