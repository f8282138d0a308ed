package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// openToRead opens the log of the namespace as it is: [jetstream.Open] would
// create one that is not there, and must be told how it was created.
func openToRead(ctx context.Context, s *Session) (*jetstream.Log, error) {
	nc, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	config, err := existing(ctx, s, nc)
	if err != nil {
		return nil, err
	}
	return jetstream.Open(ctx, config)
}

// existing returns the configuration that the namespace was created with.
func existing(ctx context.Context, s *Session, nc *nats.Conn) (jetstream.Config, error) {
	c := jetstream.Config{Conn: nc, Namespace: s.Namespace(), Logger: s.Logger()}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	js, err := natsjs.New(nc)
	if err != nil {
		return c, err
	}
	stream, err := js.Stream(ctx, "ANNALS_"+s.Namespace()+"_events")
	if err == nil {
		_, err = js.KeyValue(ctx, "ANNALS_"+s.Namespace()+"_snapshots")
	}
	if errors.Is(err, natsjs.ErrStreamNotFound) || errors.Is(err, natsjs.ErrBucketNotFound) {
		f := s.unknown(fmt.Errorf("%w: %w", store.ErrNotFound, err), codeNoNamespace, "namespace", s.Namespace(), nil)
		f.Why = "this NATS server keeps no events of it"
		f.Fix = "name the namespace with --ns, or the server with --server"
		return c, f
	}
	if err != nil {
		return c, fmt.Errorf("look for the log of %s: %w", s.Namespace(), err)
	}
	has := stream.CachedInfo().Config
	c.InMemory = has.Storage == natsjs.MemoryStorage
	c.Replicas = has.Replicas
	if c.Partitions, err = strconv.Atoi(has.Metadata["annals.partitions"]); err != nil {
		return c, fmt.Errorf("read the settings of stream %s: number of partitions: %w", has.Name, err)
	}
	if c.Codec, err = store.CodecByName(has.Metadata["annals.codec"]); err != nil {
		return c, fmt.Errorf("read the settings of stream %s: %w", has.Name, err)
	}
	return c, nil
}
