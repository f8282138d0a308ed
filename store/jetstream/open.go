package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// openPatience bounds how long Open waits for a cluster that has no leader yet,
// or not all its servers.
const openPatience = 30 * time.Second

// provision makes sure that stream and bucket of the namespace are there and
// kept as they must be. It returns the number of replicas of the events stream.
func provision(ctx context.Context, cfg Config, n *names) (replicas int, err error) {
	js, err := natsjs.New(cfg.Conn)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	err = patiently(ctx, func(ctx context.Context) error {
		replicas, err = provisionEvents(ctx, js, cfg, n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return replicas, patiently(ctx, func(ctx context.Context) error {
		return provisionSnapshots(ctx, js, cfg, n)
	})
}

// provisionEvents looks before it creates: a namespace that exists needs no
// right to create one. Whoever created it, what is there is verified.
func provisionEvents(ctx context.Context, js natsjs.JetStream, cfg Config, n *names) (int, error) {
	stream, err := js.Stream(ctx, n.stream)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, eventsConfig(cfg, n))
		if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, n.stream)
		}
	}
	if err != nil {
		return 0, err
	}
	has := stream.CachedInfo().Config
	return has.Replicas, verifyEvents(cfg, n, has)
}

// provisionSnapshots creates the bucket if it is not there. A snapshot is a
// cache: a bucket that an operator made smaller or shorter-lived costs time,
// never truth, so its settings are not verified.
func provisionSnapshots(ctx context.Context, js natsjs.JetStream, cfg Config, n *names) error {
	_, err := js.KeyValue(ctx, n.bucket)
	if errors.Is(err, natsjs.ErrBucketNotFound) {
		_, err = js.CreateKeyValue(ctx, snapshotsConfig(cfg, n))
		if errors.Is(err, natsjs.ErrBucketExists) {
			return nil
		}
	}
	return err
}

// patiently repeats f while the server says that it cannot answer yet. What the
// server or f refuse is returned as it is; every other error matches
// [store.ErrUnavailable].
func patiently(ctx context.Context, f func(context.Context) error) error {
	for try := 0; ; try++ {
		once, cancel := context.WithTimeout(ctx, requestWait)
		err := f(once)
		cancel()
		var api *natsjs.APIError
		refused := errors.Is(err, store.ErrInvalid) || errors.As(err, &api) && !isTransientCode(int(api.ErrorCode))
		if err == nil || refused {
			return err
		}
		if api == nil && !isTransient(err) || pause(ctx, try) != nil {
			return unavailable(err)
		}
	}
}

// isTransient reports whether an error that is not the server's may pass.
func isTransient(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, natsjs.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrConnectionReconnecting)
}
