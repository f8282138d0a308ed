package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
)

// draftSuffix marks files that have no name yet. The dot in front keeps them from
// being taken for files of the vault.
const (
	draftPrefix  = "."
	draftPattern = draftPrefix + "draft-*"
)

// dir is a Vault in a directory.
type dir struct{ path string }

// Dir returns the vault in a directory, which it makes if it is not there. Parts
// of names are directories in it. The files may be read and copied by anybody; a
// file whose name begins with a dot is a draft that a crash has left, and may be
// removed.
func Dir(path string) (Vault, error) {
	full, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(full, 0o750)
	}
	if err != nil {
		return nil, fmt.Errorf("open vault: %w: %w", store.ErrUnavailable, err)
	}
	return &dir{path: full}, nil
}

// String returns the directory's path.
func (d *dir) String() string { return d.path }

func (d *dir) file(name string) (string, error) {
	if err := ValidateName(name); err != nil {
		return "", err
	}
	return filepath.Join(d.path, filepath.FromSlash(name)), nil
}

// Create implements [Vault].
func (d *dir) Create(ctx context.Context, name string) (Draft, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("create %s: %w: %w", name, store.ErrUnavailable, err)
	}
	f, err := os.CreateTemp(folder, draftPattern)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w: %w", name, store.ErrUnavailable, err)
	}
	return &draft{file: f, ctx: ctx.Err, root: d.path, path: path, name: name}, nil
}

// Open implements [Vault].
func (d *dir) Open(_ context.Context, name string) (File, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: %w", name, kind(err), err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w: %w", name, store.ErrUnavailable, err), f.Close())
	}
	return &kept{File: f, size: info.Size()}, nil
}

func kind(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return store.ErrNotFound
	}
	return store.ErrUnavailable
}

// kept is an open file.
type kept struct {
	*os.File
	size int64
}

// Size implements [File].
func (k *kept) Size() int64 { return k.size }

// List implements [Vault].
func (d *dir) List(ctx context.Context, prefix string) ([]Entry, error) {
	var all []Entry
	// What lies beside the folder is not looked at: it may be large, or not to be
	// read, as what a file system keeps at its root.
	begin := filepath.Join(d.path, filepath.FromSlash(prefix[:strings.LastIndexByte(prefix, '/')+1]))
	err := filepath.WalkDir(begin, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // never there, or taken away meanwhile
			_, err = os.Lstat(d.path)
			return err
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), draftPrefix) {
			return err
		}
		relative, err := filepath.Rel(d.path, path)
		name := filepath.ToSlash(relative)
		if err != nil || !strings.HasPrefix(name, prefix) {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			all = append(all, Entry{Name: name, Size: info.Size(), Time: info.ModTime().UTC()})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w: %w", d.path, store.ErrUnavailable, err)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Remove implements [Vault].
func (d *dir) Remove(_ context.Context, name string) error {
	path, err := d.file(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w: %w", name, store.ErrUnavailable, err)
	}
	return syncUp(filepath.Dir(path), d.path)
}
