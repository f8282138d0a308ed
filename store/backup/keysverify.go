package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// VerifyKeys reads the copy of the keys that belongs to the backup, in the vault where
// it is kept: that it is what was written, of the same realm, and not older than the
// backup, which may have data under keys that were made since. What is wrong is in the
// findings; the error is of what could not be read, and matches [store.ErrNotFound] if
// the vault has no copy. A backup of a namespace without keys has none to verify.
func (b *Backup) VerifyKeys(ctx context.Context, v segment.Vault) (*KeysManifest, []Finding, error) {
	m := b.Manifest()
	if m.Realm == uuid.Nil {
		return nil, nil, nil
	}
	c, err := OpenKeys(ctx, v, m.Namespace)
	if errors.Is(err, store.ErrDamaged) {
		return nil, []Finding{Find(err)}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var found []Finding
	wrong := func(format string, args ...any) {
		found = append(found, Finding{File: c.manifest.path(keysManifest), Reason: fmt.Sprintf(format, args...)})
	}
	if c.manifest.Realm != m.Realm {
		wrong("it is of realm %s, the backup of %s", c.manifest.Realm, m.Realm)
	}
	if c.manifest.Backup < m.ID && c.manifest.Created.Before(m.Created) {
		wrong("it was made for backup %q, before %s: keys that were made since are not in it", c.manifest.Backup, m.ID)
	}
	records, keys := uint64(0), uint64(0)
	for r, err := range c.Records(ctx) {
		if errors.Is(err, store.ErrDamaged) {
			return c.manifest, append(found, Find(err)), nil
		}
		if err != nil {
			return c.manifest, found, err
		}
		if r.IsWrapping() {
			continue
		}
		records++
		if r.Key != (store.KeyID{}) {
			keys++
		}
	}
	if records != c.manifest.Records || keys != c.manifest.Keys {
		wrong("it has %d records and %d keys, its manifest names %d and %d", records, keys, c.manifest.Records, c.manifest.Keys)
	}
	return c.manifest, found, nil
}
