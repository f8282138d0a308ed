//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is one message of a stream, as the server stores it.
type message struct {
	subject  string
	sequence uint64
	header   nats.Header
	data     []byte
}

// eachMessage calls visit for each message of a stream, in order. A stream
// that is not there has none.
func eachMessage(ctx context.Context, nc *nats.Conn, name string, visit func(message) error) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", name, err)
	}
	if stream.CachedInfo().State.Msgs == 0 {
		return nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	for {
		last, err := eachOfBatch(consumer, visit)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		if last {
			return nil
		}
	}
}

// eachOfBatch reports whether the batch had the stream's last message.
func eachOfBatch(consumer jetstream.Consumer, visit func(message) error) (last bool, err error) {
	batch, err := consumer.Fetch(5000, jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		return false, err
	}
	got := 0
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return false, err
		}
		got++
		last = meta.NumPending == 0
		if err := visit(message{subject: m.Subject(), sequence: meta.Sequence.Stream, header: m.Headers(), data: m.Data()}); err != nil {
			return false, err
		}
		if last {
			break
		}
	}
	if err := batch.Error(); err != nil {
		return false, err
	}
	if got == 0 {
		return false, errors.New("nothing came for 10 s")
	}
	return last, nil
}
