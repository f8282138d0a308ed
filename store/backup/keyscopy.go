package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

const (
	// copyTries is how often a copy is begun again because the keys could not be listed
	// whole: they may be moved meanwhile.
	copyTries = 3
	// copyPause is the longest pause after another copy came in between. That one begins
	// anew as often as it takes: it may have removed what the other's manifest names.
	copyPause = 200 * time.Millisecond
)

// CopyKeys replaces the copy of a namespace's keys in a vault by one of the keys as they
// are now, wrapped, and removes the one before. Create does it for each backup; it may be
// called at any other time, such as after somebody was forgotten. backup is the backup
// that it is made for, or empty. Errors:
//   - [store.ErrInvalid]: the vault has the keys of another realm, which stay, or backups of
//     the namespace.
//   - [store.ErrAhead]: the vault knows of erasures that the key store does not: it was
//     set back. The copy stays; restoring it gives the erasures back.
//   - [store.ErrDamaged]: a record, or the copy that is there, is not what was written.
//   - [store.ErrUnavailable]: key store or vault could not be asked.
func CopyKeys(ctx context.Context, v segment.Vault, namespace string, keys privacy.Keys, backup string) (*KeysManifest, error) {
	if err := store.ValidateName("namespace", namespace); err != nil {
		return nil, err
	}
	if err := refuseData(ctx, v, namespace); err != nil {
		return nil, fmt.Errorf("copy the keys of %s: %w", namespace, err)
	}
	for failures := 0; ; {
		c := &keysCopying{vault: v, keys: keys, erased: map[uuid.UUID]bool{}, manifest: &KeysManifest{
			Format: keysFormat, Namespace: namespace, Realm: keys.Realm(), Backup: backup, Created: time.Now().UTC().Truncate(time.Millisecond),
		}}
		err := c.run(ctx)
		if err == nil {
			return c.manifest, nil
		}
		again := errors.Is(err, store.ErrConflict)
		if errors.Is(err, store.ErrUnavailable) {
			failures++
			again = failures < copyTries
		}
		if !again || pauseBelow(ctx, copyPause) != nil {
			return nil, fmt.Errorf("copy the keys of %s: %w", namespace, err)
		}
	}
}

// pauseBelow waits for a random time below most, or returns ctx's error.
func pauseBelow(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(mathrand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keysCopying is one copy of keys under way.
type keysCopying struct {
	vault    segment.Vault
	keys     privacy.Keys
	manifest *KeysManifest
	erased   map[uuid.UUID]bool // the erasures that the key store knows
}

// run writes the records under a new name, then the manifest that names them, in one
// step, and then removes all else.
func (c *keysCopying) run(ctx context.Context) error {
	before, err := c.before(ctx)
	if err != nil {
		return err
	}
	file := c.manifest.path("records-" + strings.ToLower(rand.Text()))
	if err := c.write(ctx, file); err != nil {
		return err
	}
	if before != nil {
		err = c.knows(ctx, before)
	}
	if err == nil {
		err = c.replace(ctx)
	}
	if err == nil {
		err = c.counts(ctx)
	}
	if err != nil {
		return errors.Join(err, c.vault.Remove(ctx, file))
	}
	if err := c.removeOthers(ctx, file); err != nil {
		return err
	}
	return c.counts(ctx)
}

// before returns the copy that there is; nil if there is none, or one whose records are
// gone.
func (c *keysCopying) before(ctx context.Context) (*KeysCopy, error) {
	before, err := OpenKeys(ctx, c.vault, c.manifest.Namespace)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err != nil {
		return nil, err
	}
	if before.manifest.Realm != c.manifest.Realm {
		return nil, &store.InvalidError{What: "place for keys", Value: c.vault.String(), Reason: "it has the keys of another realm, " + before.manifest.Realm.String()}
	}
	f, err := c.vault.Open(ctx, before.manifest.path(before.manifest.File.Name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err == nil {
		err = f.Close()
	}
	return before, err
}

// counts checks that this copy is the one that counts, and whole. Of two that are made
// at the same time each may find that the other came in between, or that it has removed
// the other's records, and is made again.
func (c *keysCopying) counts(ctx context.Context) error {
	now, err := OpenKeys(ctx, c.vault, c.manifest.Namespace)
	if err != nil {
		return err
	}
	f, err := c.vault.Open(ctx, c.manifest.path(c.manifest.File.Name))
	if now.manifest.File != c.manifest.File || errors.Is(err, store.ErrNotFound) {
		err = errors.Join(err, fmt.Errorf("%w: another copy of the keys was made at the same time", store.ErrConflict))
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	return err
}

func (c *keysCopying) write(ctx context.Context, name string) error {
	draft, err := c.vault.Create(ctx, name)
	if err != nil {
		return err
	}
	w := segment.NewValueWriter(draft)
	for r, err := range c.keys.All(ctx) {
		if err == nil {
			err = c.add(w, r)
		}
		if err != nil {
			return errors.Join(err, draft.Abort())
		}
	}
	f := &c.manifest.File
	f.Name = path.Base(name)
	if f.Values, f.Size, f.Sum, err = w.Close(); err != nil {
		return errors.Join(err, draft.Abort())
	}
	return draft.Close()
}

func (c *keysCopying) add(w *segment.ValueWriter, r privacy.Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if !r.IsWrapping() {
		c.manifest.Records++
		if r.Key != (store.KeyID{}) {
			c.manifest.Keys++
		}
	}
	for _, e := range r.Erased {
		c.manifest.Erased++
		c.erased[e.ID] = true
	}
	return w.Add(r.Subject, data)
}

// knows checks that the key store knows of all erasures that the copy does.
func (c *keysCopying) knows(ctx context.Context, before *KeysCopy) error {
	for r, err := range before.Records(ctx) {
		if err != nil {
			return err
		}
		for _, e := range r.Erased {
			if !c.erased[e.ID] {
				return fmt.Errorf("%w: the key store does not know that a key of %q was erased on %s, which the copy of %s does: restore that copy",
					store.ErrAhead, r.Subject, e.At.UTC().Format(time.RFC3339), before.manifest.Created.Format(time.RFC3339))
			}
		}
	}
	return nil
}

func (c *keysCopying) replace(ctx context.Context) error {
	data, err := c.manifest.seal()
	if err != nil {
		return err
	}
	return segment.WriteFile(ctx, c.vault, c.manifest.path(keysManifest), data)
}

// removeOthers removes all records but the copy's: those of copies before, and of one
// that was interrupted.
func (c *keysCopying) removeOthers(ctx context.Context, own string) error {
	files, err := c.vault.List(ctx, c.manifest.path("")+"/")
	for _, f := range files {
		if err == nil && f.Name != own && strings.HasPrefix(path.Base(f.Name), "records-") {
			err = c.vault.Remove(ctx, f.Name)
		}
	}
	return err
}
