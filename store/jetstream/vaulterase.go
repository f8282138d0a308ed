package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store/segment"
)

// leftAge is how old parts must be that no object names before they are taken for those
// of a process that ended while it wrote them.
const leftAge = time.Hour

// OpenErasingVault is [OpenVault] for what must be gone when it is removed: the server
// overwrites the parts of an object that is removed or replaced, one by one, in its
// files, and Remove fails if they could not be. So it does here with parts that a process
// left an hour ago which ended while it wrote them. With replicas the servers' Raft
// logs may hold parts until they are compacted.
func OpenErasingVault(ctx context.Context, conn *nats.Conn, bucket string, replicas int) (segment.Vault, error) {
	v, err := openVault(ctx, conn, bucket, replicas)
	if err != nil {
		return nil, err
	}
	v.erases = true
	if err := v.sweep(ctx, leftAge); err != nil {
		return nil, v.failed("erase what is left in", v.String(), err)
	}
	return v, nil
}

// takeAway takes the parts of an object away that nobody is to read any more.
func (v *vault) takeAway(ctx context.Context, id string) error {
	if v.erases {
		return v.erase(ctx, id)
	}
	v.purge(ctx, id)
	return nil
}

// erase has each part of an object overwritten.
func (v *vault) erase(ctx context.Context, id string) error {
	for before := uint64(0); ; {
		m, err := v.ask(ctx, nextOn(v.parts(id), 1))
		if errors.Is(err, errNone) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("erase its parts: %w", err)
		}
		if m.sequence == before {
			return fmt.Errorf("erase its parts: the one at %d is there still", before)
		}
		before = m.sequence
		if err := persistently(ctx, func(ctx context.Context) error { return overwrite(ctx, v.conn, v.delete, before) }); err != nil {
			return fmt.Errorf("erase its parts: %w", err)
		}
	}
}

// sweep erases parts that no object names, if they are old enough not to be of one that
// is being written.
func (v *vault) sweep(ctx context.Context, age time.Duration) error {
	subjects, err := subjectsIn(ctx, v.conn, v.stream, v.parts("*"))
	if err != nil || len(subjects) == 0 {
		return err
	}
	names, err := v.names(ctx, "")
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, name := range names {
		info, err := v.info(ctx, name)
		if errors.Is(err, natsjs.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		named[v.parts(info.NUID)] = true
	}
	for _, subject := range subjects {
		if named[subject] {
			continue
		}
		last, err := v.ask(ctx, lastOn(subject))
		if errors.Is(err, errNone) || err == nil && time.Since(last.stored) < age {
			continue
		}
		if err == nil {
			err = v.erase(ctx, subject[len(v.parts("")):])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
