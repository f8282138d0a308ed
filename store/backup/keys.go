package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

const (
	keysFolder   = "keys"
	keysManifest = "keys.json"
	keysFormat   = 1
)

// KeysManifest says what the copy of a namespace's keys holds. There is one copy in a
// vault, of the last time that it was made.
type KeysManifest struct {
	Format    int       `json:"format"`
	Namespace string    `json:"namespace"`
	Realm     uuid.UUID `json:"realm"`
	// Backup is the backup that the copy was made for, empty if for none.
	Backup  string    `json:"backup,omitempty"`
	Created time.Time `json:"created"`
	// Records is how many data subjects have a record, Keys how many of them a key, and
	// Erased how many keys were erased.
	Records uint64 `json:"records"`
	Keys    uint64 `json:"keys"`
	Erased  uint64 `json:"erased"`
	// File is the file of the records.
	File ValueFile `json:"file"`
}

func (m *KeysManifest) path(name string) string { return path.Join(m.Namespace, keysFolder, name) }

// KeysCopy is the copy of a namespace's keys in a vault. Its methods may be called from
// many goroutines.
type KeysCopy struct {
	vault    segment.Vault
	manifest *KeysManifest
}

// OpenKeys opens the copy of a namespace's keys. Errors: [store.ErrNotFound] if there is
// none, [store.ErrDamaged] if its manifest is not what was written.
func OpenKeys(ctx context.Context, v segment.Vault, namespace string) (*KeysCopy, error) {
	if err := store.ValidateName("namespace", namespace); err != nil {
		return nil, err
	}
	name := path.Join(namespace, keysFolder, keysManifest)
	data, err := segment.ReadFile(ctx, v, name, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("open the copy of the keys: %w", err)
	}
	m, err := unsealKeys(data)
	if err == nil && m.Namespace != namespace {
		err = fmt.Errorf("%w: it is of %s", store.ErrDamaged, m.Namespace)
	}
	if err != nil {
		return nil, &FileError{File: name, Reason: err}
	}
	return &KeysCopy{vault: v, manifest: m}, nil
}

// Manifest returns what the copy says of itself.
func (c *KeysCopy) Manifest() *KeysManifest { return c.manifest }

// Records yields the records, with the keys as they were wrapped. The last pair has the
// error, if any: a [*FileError] if the copy is not what was written.
func (c *KeysCopy) Records(ctx context.Context) iter.Seq2[privacy.Record, error] {
	return func(yield func(privacy.Record, error) bool) {
		name := c.manifest.path(c.manifest.File.Name)
		for v, err := range readValues(ctx, c.vault, name, &c.manifest.File) {
			var r privacy.Record
			if err == nil {
				r, err = decodeRecord(v)
				if err != nil {
					err = &FileError{File: name, Reason: err}
				}
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func decodeRecord(v segment.Value) (r privacy.Record, err error) {
	err = json.Unmarshal(v.Data, &r)
	if err == nil && r.Subject != v.Key {
		err = fmt.Errorf("it is of %q", r.Subject)
	}
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		err = fmt.Errorf("%w: record of %q: %w", store.ErrDamaged, v.Key, err)
	}
	return r, err
}

// sealedKeys is how a manifest of keys is stored: with the sum of its bytes.
type sealedKeys struct {
	Keys json.RawMessage `json:"keys"`
	Sum  segment.Sum     `json:"sum"`
}

func (m *KeysManifest) seal() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedKeys{body, sha256.Sum256(body)})
}

func unsealKeys(data []byte) (*KeysManifest, error) {
	var s sealedKeys
	var body bytes.Buffer
	m := &KeysManifest{}
	err := json.Unmarshal(data, &s)
	if err == nil {
		err = json.Compact(&body, s.Keys)
	}
	if err == nil && segment.Sum(sha256.Sum256(body.Bytes())) != s.Sum {
		err = errors.New("its check sum is another")
	}
	if err == nil {
		err = json.Unmarshal(body.Bytes(), m)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: manifest of keys: %w", store.ErrDamaged, err)
	}
	if m.Format != keysFormat {
		return nil, &store.InvalidError{What: "format of a manifest of keys", Value: fmt.Sprint(m.Format), Reason: fmt.Sprintf("this build reads %d", keysFormat)}
	}
	return m, nil
}
