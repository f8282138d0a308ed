package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/annals-go/annals/store"
)

// draft is a file of a directory that has no name yet.
type draft struct {
	file *os.File
	ctx  func() error // why to stop
	root string       // of the vault
	path string       // where it belongs
	name string
	done bool
}

// Write implements [Draft].
func (d *draft) Write(b []byte) (int, error) {
	if err := d.ctx(); err != nil {
		return 0, err
	}
	n, err := d.file.Write(b)
	if err != nil {
		err = d.failed(err)
	}
	return n, err
}

// Close implements [Draft]. The file's bytes are on the disk before the name is,
// and the name before Close returns.
func (d *draft) Close() error {
	if d.done {
		return fs.ErrClosed
	}
	d.done = true
	err := errors.Join(d.ctx(), d.file.Sync(), d.file.Close())
	if err == nil {
		err = os.Rename(d.file.Name(), d.path)
	}
	if err != nil {
		_ = os.Remove(d.file.Name())
		return d.failed(err)
	}
	if err := syncUp(filepath.Dir(d.path), d.root); err != nil {
		return d.failed(err)
	}
	return nil
}

// Abort implements [Draft].
func (d *draft) Abort() error {
	if d.done {
		return nil
	}
	d.done = true
	if err := errors.Join(d.file.Close(), os.Remove(d.file.Name())); err != nil {
		return d.failed(err)
	}
	return nil
}

func (d *draft) failed(err error) error {
	return fmt.Errorf("write %s: %w: %w", d.name, store.ErrUnavailable, err)
}

// syncUp makes the names in a folder durable, and those of the folder itself and
// of all above it up to the root, which may be as new.
func syncUp(folder, root string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there, and need not be
	}
	for strings.HasPrefix(folder, root) {
		f, err := os.Open(folder)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
		folder = filepath.Dir(folder)
	}
	return nil
}
