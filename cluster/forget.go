package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Forget removes the directory of a namespace whose history came from elsewhere,
// while no node serves it. Its commits have epochs of another directory, which may be
// above the revisions of this one: whoever owned a stream would be told for good
// that a later owner has written to it. The directory that the next node makes
// begins above both. No directory is no error.
func Forget(ctx context.Context, conn *nats.Conn, namespace string) error {
	b, err := newNATSBucket(conn, namespace)
	if err == nil {
		err = b.js.DeleteStream(ctx, b.stream)
	}
	if err != nil && !errors.Is(err, natsjs.ErrStreamNotFound) {
		return fmt.Errorf("forget the directory of %s: %w", namespace, err)
	}
	return nil
}

// FirstEpoch returns the epoch that all of the namespace's directory are above, 0
// if it has no directory: the one that is made then begins at the present time.
func FirstEpoch(ctx context.Context, conn *nats.Conn, namespace string) (uint64, error) {
	b, err := newNATSBucket(conn, namespace)
	if err != nil {
		return 0, err
	}
	stream, err := b.js.Stream(ctx, b.stream)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at the directory of %s: %w", namespace, err)
	}
	return stream.CachedInfo().Config.FirstSeq, nil
}
