package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// vaultToWrite is a vault at a place, which open opens and makes. One that is not there is made when its first file is
// written, and is empty until then: what is refused before leaves nothing. Steps that may have had an effect are
// noticed.
func vaultToWrite(ctx context.Context, conn *nats.Conn, place string, t *touch, open func(context.Context) (segment.Vault, error)) (segment.Vault, error) {
	bucket, is := strings.CutPrefix(place, inBucket)
	name, missing, err := place, "", error(nil)
	switch {
	case !is:
		name, missing, err = missingIn(place)
	case bucket != "":
		err = bucketToRead(ctx, conn, bucket)
	}
	if errors.Is(err, store.ErrNotFound) {
		return t.vault(&lateVault{name: name, missing: missing, open: open, touch: t}), nil
	}
	vault, err := open(ctx) // says what else is wrong with it
	if err != nil {
		return nil, err
	}
	return t.vault(vault), nil
}

// keysVaultToWrite is vaultToWrite for a copy of keys.
func keysVaultToWrite(ctx context.Context, conn *nats.Conn, place string, replicas int, t *touch) (segment.Vault, error) {
	return vaultToWrite(ctx, conn, place, t, func(ctx context.Context) (segment.Vault, error) {
		return keysVaultAt(ctx, conn, place, replicas)
	})
}

// missingIn returns the whole name of a directory, and the outermost of those that would have to be made for it to be
// there. The error matches [store.ErrNotFound] if there is one.
func missingIn(dir string) (name, missing string, err error) {
	if name, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	for at := name; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = at
		if at == filepath.Dir(at) {
			break
		}
	}
	if missing == "" {
		return name, "", nil
	}
	return name, missing, fmt.Errorf("%w: there is no directory %s", store.ErrNotFound, missing)
}

// lateVault is the vault of a place that was not there.
type lateVault struct {
	name    string
	missing string // the directory that is made first; empty: it is no directory
	open    func(context.Context) (segment.Vault, error)
	touch   *touch

	mu   sync.Mutex
	made segment.Vault // nil: not yet
}

func (v *lateVault) there() segment.Vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.made
}

// make makes the place. It has done nothing if the first of the directories could not be made.
func (v *lateVault) make(ctx context.Context) (segment.Vault, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made != nil {
		return v.made, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	made, err := v.open(ctx)
	if err != nil && v.missing != "" {
		if _, absent := os.Lstat(v.missing); errors.Is(absent, fs.ErrNotExist) {
			return nil, err
		}
	}
	v.touch.take()
	if err != nil {
		return nil, err
	}
	v.made = made
	return made, nil
}

// Create implements [segment.Vault].
func (v *lateVault) Create(ctx context.Context, name string) (segment.Draft, error) {
	if err := segment.ValidateName(name); err != nil {
		return nil, err
	}
	made, err := v.make(ctx)
	if err != nil {
		return nil, err
	}
	return made.Create(ctx, name)
}

// Open implements [segment.Vault].
func (v *lateVault) Open(ctx context.Context, name string) (segment.File, error) {
	if made := v.there(); made != nil {
		return made.Open(ctx, name)
	}
	return nil, fmt.Errorf("open %s: %w: %s is not there", name, store.ErrNotFound, v.name)
}

// List implements [segment.Vault].
func (v *lateVault) List(ctx context.Context, prefix string) ([]segment.Entry, error) {
	if made := v.there(); made != nil {
		return made.List(ctx, prefix)
	}
	return nil, ctx.Err()
}

// Remove implements [segment.Vault].
func (v *lateVault) Remove(ctx context.Context, name string) error {
	if made := v.there(); made != nil {
		return made.Remove(ctx, name)
	}
	return ctx.Err()
}

// String implements [segment.Vault].
func (v *lateVault) String() string {
	if made := v.there(); made != nil {
		return made.String()
	}
	return v.name
}
