package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
)

// openPatience bounds how long Open waits for a cluster that has no leader yet,
// or not all its servers.
const openPatience = 30 * time.Second

// provideAtOnce is how many streams are asked for at the same time.
const provideAtOnce = 8

// provided is what provision found or made.
type provided struct {
	replicas int  // of the order
	created  bool // the order was not there
	keeps    bool // commands, in what is appended

	truncated bool // something of it is in an archive
}

// provision makes sure that streams and bucket of the namespace are there and
// kept as they must be. The order is made last: where it is, all is.
func provision(ctx context.Context, cfg Config, n *names) (got provided, err error) {
	js, err := natsjs.New(cfg.Conn)
	if err != nil {
		return got, err
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if n.sourced() {
		if err = provisionStreams(ctx, js, cfg, n); err != nil {
			return got, err
		}
	}
	err = patiently(ctx, func(ctx context.Context) error {
		has, err := provisionStream(ctx, js, orderConfig(cfg, n), &got.created)
		got.replicas, got.keeps = has.Replicas, has.Metadata[metaKeep] == keepsCommands
		got.truncated = has.Metadata[metaTruncated] != ""
		return err
	})
	if err == nil {
		err = patiently(ctx, func(ctx context.Context) error { return checkMark(ctx, js, cfg, n) })
	}
	if err != nil {
		return got, err
	}
	if cfg.KeepCommands && !got.keeps {
		if err := patiently(ctx, func(ctx context.Context) error { return switchOn(ctx, js, n.order.name) }); err != nil {
			return got, err
		}
		got.keeps = true
	}
	return got, patiently(ctx, func(ctx context.Context) error {
		return provisionSnapshots(ctx, js, cfg, n)
	})
}

// provisionStreams provides the log streams that the order sources. If there is
// an order that is another's, nothing is made.
func provisionStreams(ctx context.Context, js natsjs.JetStream, cfg Config, n *names) error {
	ordered := false
	err := patiently(ctx, func(ctx context.Context) error {
		order, err := js.Stream(ctx, n.order.name)
		if ordered = err == nil; ordered {
			return verify(orderConfig(cfg, n), order.CachedInfo().Config)
		}
		if errors.Is(err, natsjs.ErrStreamNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(provideAtOnce)
	for i := range n.streams {
		want := logStreamConfig(cfg, n, i)
		g.Go(func() error {
			return patiently(ctx, func(ctx context.Context) error {
				if ordered {
					return existing(ctx, js, want)
				}
				_, err := provisionStream(ctx, js, want, new(bool))
				return err
			})
		})
	}
	return g.Wait()
}

// existing verifies a stream that must be there. In a cluster a server may say
// for a moment that it is not.
func existing(ctx context.Context, js natsjs.JetStream, want natsjs.StreamConfig) error {
	for try := 0; ; try++ {
		stream, err := js.Stream(ctx, want.Name)
		switch {
		case err == nil:
			return verify(want, stream.CachedInfo().Config)
		case !errors.Is(err, natsjs.ErrStreamNotFound):
			return err
		case try == aheadTries:
			return fmt.Errorf("%w: stream %s is gone: %w", store.ErrDamaged, want.Name, err)
		}
		if err := pause(ctx, try+3); err != nil {
			return err
		}
	}
}

// provisionStream looks before it creates: a namespace that exists needs no
// right to create one. Whoever created it, what is there is verified.
func provisionStream(ctx context.Context, js natsjs.JetStream, want natsjs.StreamConfig, created *bool) (has natsjs.StreamConfig, err error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
		*created = err == nil
		if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return has, err
	}
	has = stream.CachedInfo().Config
	return has, verify(want, has)
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
		refused := errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrDamaged) || errors.As(err, &api) && !isTransientCode(int(api.ErrorCode))
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
