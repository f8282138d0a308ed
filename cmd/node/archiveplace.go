package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
)

// inBucket begins the name of a place that is an object store of the NATS
// server; every other is a directory.
const inBucket = "nats:"

// openArchive opens the archive of the namespace, whose log is kept as c says, at a
// place, which it makes if it is not there. No place, no archive: it is nil.
func (s *Session) openArchive(ctx context.Context, c jetstream.Config, place string) (*archive.Archive, error) {
	if place == "" {
		return nil, nil
	}
	vault, err := vaultAt(ctx, c.Conn, place, c.Replicas)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", place, err)
	}
	return s.archiveIn(ctx, c, vault)
}

// archiveToWrite is openArchive for whoever archives: the place is made when something is written there, and what is
// written is noticed.
func (s *Session) archiveToWrite(ctx context.Context, c jetstream.Config, place string, t *touch) (*archive.Archive, error) {
	vault, err := vaultToWrite(ctx, c.Conn, place, t, func(ctx context.Context) (segment.Vault, error) {
		return vaultAt(ctx, c.Conn, place, c.Replicas)
	})
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", place, err)
	}
	return s.archiveIn(ctx, c, vault)
}

// archiveToRead is openArchive of a place that must be there.
func (s *Session) archiveToRead(ctx context.Context, c jetstream.Config, place string) (*archive.Archive, error) {
	if place == "" {
		return nil, nil
	}
	vault, err := vaultToRead(ctx, c.Conn, place)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &Failure{
			Code: gateway.CodeNotFound, Exit: console.ExitNotFound, What: "there is no archive at " + place, Why: err.Error(), Err: err,
			Fix: "name the place that was archived to; archive run makes one",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", place, err)
	}
	return s.archiveIn(ctx, c, vault)
}

func (s *Session) archiveIn(ctx context.Context, c jetstream.Config, vault segment.Vault) (*archive.Archive, error) {
	return archive.Open(ctx, archive.Config{Vault: vault, Namespace: s.Namespace(), Barrier: c.Barrier, Logger: s.Logger()})
}

func vaultAt(ctx context.Context, conn *nats.Conn, place string, replicas int) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(place, inBucket)
	if !is {
		return vaultIn(place)
	}
	if bucket == "" {
		return nil, &store.InvalidError{What: "place of files", Value: place, Reason: "name the bucket, as in nats:BUCKET"}
	}
	return jetstream.OpenVault(ctx, conn, bucket, max(replicas, 1))
}

// vaultIn is a vault in a directory; one that cannot be made is a mistake, and not a system that is down.
func vaultIn(dir string) (segment.Vault, error) {
	vault, err := segment.Dir(dir)
	if err != nil {
		return nil, &Failure{
			Code: console.CodeUsage, Exit: console.ExitUsage, What: "files cannot be kept in " + dir, Why: err.Error(),
			Fix: "name a directory that this user may make and write to, or nats:BUCKET", Err: err,
		}
	}
	return vault, nil
}

// keysVaultAt is vaultAt for a copy of keys: what is removed there must be in no file of the server's.
func keysVaultAt(ctx context.Context, conn *nats.Conn, place string, replicas int) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(place, inBucket)
	if !is || bucket == "" {
		return vaultAt(ctx, conn, place, replicas)
	}
	return jetstream.OpenErasingVault(ctx, conn, bucket, max(replicas, 1))
}

// addArchive gives the configuration of a log the archive at a place, if one is
// named, to read in. The session closes it.
func (s *Session) addArchive(ctx context.Context, c *jetstream.Config, place string) (err error) {
	if s.archive, err = s.archiveToRead(ctx, *c, place); err == nil && s.archive != nil {
		c.Archive = s.archive
	}
	return err
}

// addArchiveToWrite is addArchive for whoever archives, of a place that need not be there.
func (s *Session) addArchiveToWrite(t *touch) func(context.Context, *jetstream.Config, string) error {
	return func(ctx context.Context, c *jetstream.Config, place string) (err error) {
		if s.archive, err = s.archiveToWrite(ctx, *c, place, t); err == nil {
			c.Archive = s.archive
		}
		return err
	}
}
