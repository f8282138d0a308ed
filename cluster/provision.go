package cluster

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Provision makes the directory of a namespace if it is not there, in so many
// copies, for nodes that may not make it themselves. The error matches
// [ErrUnavailable].
func Provision(ctx context.Context, conn *nats.Conn, namespace string, replicas int, inMemory bool) error {
	b, err := newNATSBucket(conn, namespace)
	if err == nil {
		err = b.create(ctx, replicas, inMemory)
	}
	if err != nil {
		return fmt.Errorf("provision the directory of %s: %w: %w", namespace, ErrUnavailable, err)
	}
	return nil
}
