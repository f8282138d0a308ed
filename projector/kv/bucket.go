package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// bucket is how one bucket is asked and written.
type bucket struct {
	title   string // in errors
	at      places
	conn    *nats.Conn
	js      jetstream.JetStream
	inbox   *inbox
	barrier func(context.Context) error // nil if none is needed
}

// freshWait bounds how long a read is repeated because replicas are behind or
// nobody answers.
const freshWait = 5 * time.Second

// fresh repeats a read until its answer is fresh enough.
func (b *bucket) fresh(ctx context.Context, read func() (fresh bool, err error)) error {
	deadline := time.Now().Add(freshWait)
	for try := 0; ; try++ {
		ok, err := read()
		if ok && err == nil {
			return nil
		}
		if errors.Is(err, store.ErrDamaged) || b.conn.IsClosed() || time.Now().After(deadline) {
			if err == nil {
				err = errors.New("no replica is as far as the view")
			}
			return err
		}
		if pause(ctx, try) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// durable returns when all that the server has acknowledged is on the disk.
func (b *bucket) durable(ctx context.Context) error {
	if b.barrier == nil {
		return nil
	}
	if err := b.barrier(ctx); err != nil {
		return fmt.Errorf("wait for the disk: %w", err)
	}
	return nil
}

// failed names the bucket in an error, which matches ErrUnavailable if it is of
// no other kind.
func (b *bucket) failed(doing string, err error) error {
	doing = b.title + ": " + doing
	for _, kind := range []error{store.ErrDamaged, store.ErrInvalid, store.ErrTooLarge, store.ErrUnknown, projector.ErrFenced, projector.ErrChanged} {
		if errors.Is(err, kind) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return unavailable(doing, err)
}
