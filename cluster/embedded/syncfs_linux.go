package embedded

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const syncfsAvailable = true

// filesystem is the filesystem that a directory lies on. One descriptor is
// kept from before the first write to the end: the kernel tells each
// descriptor of the write-back errors since it was opened, and of each once.
type filesystem struct{ dir *os.File }

func openFilesystem(dir string) (*filesystem, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &filesystem{dir: f}, nil
}

// sync forces everything that was written to the filesystem before the call
// to the disk: contents, sizes, names.
func (f *filesystem) sync() error {
	for {
		err := unix.Syncfs(int(f.dir.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("syncfs %s: %w", f.dir.Name(), err)
		}
	}
}

func (f *filesystem) close() error { return f.dir.Close() }
