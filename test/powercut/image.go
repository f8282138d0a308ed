//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/annals-go/annals/test/harness"
)

// image is an ext4 file system in a file, and the directory that it is
// mounted on. It belongs to one goroutine.
type image struct {
	file    string
	dir     string
	mounted bool
}

func newImage(work string) (*image, error) {
	i := &image{file: filepath.Join(work, "disk.img"), dir: filepath.Join(work, "disk")}
	return i, os.Mkdir(i.dir, 0o700)
}

const imageBytes = 1 << 30

// format makes a new file system in the place of the old one. The file is
// sparse: it takes what is written.
func (i *image) format(ctx context.Context) error {
	if err := os.Remove(i.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(i.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(imageBytes), f.Close()); err != nil {
		return err
	}
	return command(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", i.file)
}

// mount mounts the file system, which replays its journal, with the given
// seconds between the journal's own commits.
func (i *image) mount(ctx context.Context, commit int) error {
	if err := command(ctx, "mount", "-t", "ext4", "-o", fmt.Sprintf("loop,commit=%d", commit), i.file, i.dir); err != nil {
		return err
	}
	i.mounted = true
	return nil
}

// ext4Shutdown is the number of the ext4 shutdown call: _IOR('X', 125, __u32).
const ext4Shutdown = 0x8004587d

// cut drops everything that has not reached the disk. From then on all writes
// and syncs fail.
func (i *image) cut(how shutdown) error {
	dir, err := os.Open(i.dir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	flags := uint32(how)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), ext4Shutdown, uintptr(unsafe.Pointer(&flags)))
	if errno != 0 {
		return fmt.Errorf("shut down %s: %w", i.dir, errno)
	}
	return nil
}

// unmount waits for whoever was just killed to let go of the file system.
func (i *image) unmount(ctx context.Context) error {
	if !i.mounted {
		return nil
	}
	err := harness.Until(ctx, 10*time.Second, "unmount", func() error { return command(ctx, "umount", i.dir) })
	i.mounted = err != nil
	return err
}

// close unmounts, by force if it must, and removes the file. It does so even
// when the run was interrupted.
func (i *image) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := i.unmount(ctx)
	if err != nil {
		err = command(ctx, "umount", "-l", i.dir)
	}
	return errors.Join(err, os.RemoveAll(i.file))
}

// command runs a tool. The error holds what the tool said.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// missing lists what this machine lacks for power cuts; nothing if it can.
func missing() []string {
	var lacks []string
	if os.Geteuid() != 0 {
		lacks = append(lacks, "root (loop devices and mounts)")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacks = append(lacks, "the tool "+tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		lacks = append(lacks, "loop devices (/dev/loop-control)")
	}
	if known, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(known), "ext4") {
		lacks = append(lacks, "ext4 in the kernel")
	}
	return lacks
}
