package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// ErrKeysUnfinished: the key store is being filled, and does not have all keys yet.
var ErrKeysUnfinished = errors.New("the keys are not all there yet")

// unfinishedKeys is the error for a key store that is being filled. To whoever had the
// keys before they are away: it comes back when they are whole.
func unfinishedKeys(e *keysEpoch) error {
	return fmt.Errorf("%w: %w: stream %s is being filled", store.ErrUnavailable, ErrKeysUnfinished, e.stream.name)
}

// state is that of the first epoch when it is made.
func (c *KeysConfig) state() string {
	if c.Fill {
		return stateRestoring
	}
	return stateReady
}

// Finish says that a key store opened with [KeysConfig] Fill has all keys: from now on it
// is opened like any other. One that is ready already stays so. The error matches
// [store.ErrUnavailable].
func (k *Keys) Finish(ctx context.Context) error {
	js, err := natsjs.New(k.cfg.Conn)
	if err == nil && k.cfg.Barrier != nil {
		err = k.cfg.Barrier(ctx) // what says that it is whole must not outlive what it is about
	}
	if err == nil {
		err = steadily(ctx, func(ctx context.Context) error { return k.finish(ctx, js) })
	}
	if err == nil && k.cfg.Barrier != nil {
		err = k.cfg.Barrier(ctx)
	}
	if err != nil {
		return fmt.Errorf("finish keys of %s: %w", k.cfg.Namespace, unavailable(err))
	}
	return nil
}

func (k *Keys) finish(ctx context.Context, js natsjs.JetStream) error {
	e, err := k.current(ctx)
	if err != nil {
		return err
	}
	info, err := k.info(ctx, e, nil)
	if err != nil || info.Config.Metadata[metaState] == stateReady {
		return err
	}
	config := info.Config
	config.Metadata = maps.Clone(config.Metadata)
	config.Metadata[metaState] = stateReady
	k.cfg.Changing()
	_, err = js.UpdateStream(ctx, config)
	return err
}

// Filling reports whether the key store is one that is being filled, and so not ready
// before [Keys.Finish]. The error matches [store.ErrUnavailable].
func (k *Keys) Filling(ctx context.Context) (filling bool, err error) {
	err = k.firmly(ctx, func(ctx context.Context, e *keysEpoch) error {
		info, err := k.info(ctx, e, nil)
		filling = info.Config.Metadata[metaState] == stateRestoring
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look whether keys of %s are whole: %w", k.cfg.Namespace, err)
	}
	return filling, nil
}
