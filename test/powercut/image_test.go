//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the whole program rests on, shown on a real file system: a cut keeps
// what was synced and drops what was not, and after it nothing can be synced.
func TestCutKeepsWhatWasSyncedOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short mounts no file system")
	}
	if lacks := missing(); len(lacks) > 0 {
		t.Skip("SKIPPED, NOT PASSED: it needs ", strings.Join(lacks, ", "))
	}
	for _, how := range []shutdown{flushJournal, dropJournal} {
		t.Run(how.String(), func(t *testing.T) {
			disk := mountedImage(t)
			kept, dropped := filepath.Join(disk.dir, "kept"), filepath.Join(disk.dir, "dropped")
			write(t, kept)
			dir, err := os.Open(disk.dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Syncfs(int(dir.Fd())); err != nil {
				t.Fatal(err)
			}
			write(t, dropped)
			if err := disk.cut(how); err != nil {
				t.Fatal(err)
			}
			if err := unix.Syncfs(int(dir.Fd())); !errors.Is(err, unix.EIO) {
				t.Errorf("a sync without power returned %v, want an input/output error", err)
			}
			_ = dir.Close()
			if err := errors.Join(disk.unmount(t.Context()), disk.mount(t.Context(), 300)); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(kept); err != nil || string(text) != "text" {
				t.Errorf("synced: %q, %v", text, err)
			}
			if text, err := os.ReadFile(dropped); string(text) != "" || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("not synced, and there: %q, %v", text, err)
			}
		})
	}
}

func mountedImage(t *testing.T) *image {
	t.Helper()
	disk, err := newImage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.close(); err != nil {
			t.Error(err)
		}
	})
	if err := disk.format(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := disk.mount(t.Context(), 300); err != nil {
		t.Skip("SKIPPED, NOT PASSED: root may not mount here: ", err) // as in a container
	}
	return disk
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
}
