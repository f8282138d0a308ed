package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// Existing returns the configuration that a namespace was created with, for
// those who look into one that is not theirs: Open with it creates nothing. It
// has no barrier. The error matches [store.ErrNotFound] if the server keeps no
// such namespace, [store.ErrInvalid] if what it keeps is none, and otherwise
// [store.ErrUnavailable].
func Existing(ctx context.Context, conn *nats.Conn, namespace string) (Config, error) {
	c := Config{Conn: conn, Namespace: namespace}
	if err := store.ValidateName("namespace", namespace); err != nil {
		return c, err
	}
	js, err := natsjs.New(conn)
	if err != nil {
		return c, fmt.Errorf("look for the log of %s: %w", namespace, unavailable(err))
	}
	n := newNames(namespace, 0, 1)
	stream, err := js.Stream(ctx, n.order.name)
	if err == nil {
		_, err = js.KeyValue(ctx, n.bucket)
	}
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound), errors.Is(err, natsjs.ErrBucketNotFound):
		return c, fmt.Errorf("log of %s: %w: %w", namespace, store.ErrNotFound, err)
	case err != nil:
		return c, fmt.Errorf("look for the log of %s: %w", namespace, unavailable(err))
	}
	return c, c.readSettings(stream.CachedInfo().Config)
}

func (c *Config) readSettings(has natsjs.StreamConfig) (err error) {
	c.InMemory, c.Replicas = has.Storage == natsjs.MemoryStorage, has.Replicas
	c.KeepCommands = has.Metadata[metaKeep] == keepsCommands
	if c.Partitions, err = strconv.Atoi(has.Metadata[metaPartitions]); err != nil {
		return &store.InvalidError{What: "number of partitions of stream " + has.Name, Value: has.Metadata[metaPartitions], Reason: "not a number"}
	}
	c.LogStreams = 1
	if text, several := has.Metadata[metaLogStreams]; several {
		if c.LogStreams, err = strconv.Atoi(text); err != nil {
			return &store.InvalidError{What: "number of log streams of stream " + has.Name, Value: text, Reason: "not a number"}
		}
	}
	if c.Codec, err = store.CodecByName(has.Metadata[metaCodec]); err != nil {
		return fmt.Errorf("read the settings of stream %s: %w", has.Name, err)
	}
	return nil
}
