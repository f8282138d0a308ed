package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// inBucket begins the name of a place that is an object store of the NATS
// server; every other is a directory.
const inBucket = "nats:"

// openArchive opens the archive of the namespace, whose log is kept as c says, at a
// place. No place, no archive: it is nil.
func (s *Session) openArchive(ctx context.Context, c jetstream.Config, place string) (*archive.Archive, error) {
	if place == "" {
		return nil, nil
	}
	vault, err := vaultAt(ctx, c.Conn, place, c.Replicas)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", place, err)
	}
	return archive.Open(ctx, archive.Config{Vault: vault, Namespace: s.Namespace(), Barrier: c.Barrier, Logger: s.Logger()})
}

func vaultAt(ctx context.Context, conn *nats.Conn, place string, replicas int) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(place, inBucket)
	if !is {
		return segment.Dir(place)
	}
	if bucket == "" {
		return nil, &store.InvalidError{What: "place of files", Value: place, Reason: "name the bucket, as in nats:BUCKET"}
	}
	return jetstream.OpenVault(ctx, conn, bucket, max(replicas, 1))
}

// addArchive gives the configuration of a log the archive at a place, if one is
// named. The session closes it.
func (s *Session) addArchive(ctx context.Context, c *jetstream.Config, place string) (err error) {
	if s.archive, err = s.openArchive(ctx, *c, place); err == nil && s.archive != nil {
		c.Archive = s.archive
	}
	return err
}
