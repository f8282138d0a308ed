package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
)

// cpuTime is what this process has used of the processors: it says more than the
// clock on a machine that has other things to do.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// noMount is what the other process prints if it may not mount anything.
const noMount = "no mount"

// A disk that is really full: a file system of 4 MiB, in a mount namespace of the
// other process's own, so that nothing is left of it.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "fill the disk", t.TempDir())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := p.cmd.Start(); err != nil {
		t.Skip("SKIPPED, NOT PASSED: a process of its own namespaces cannot be started:", err)
	}
	for {
		switch line := p.line(t); {
		case strings.HasPrefix(line, noMount):
			t.Skip("SKIPPED, NOT PASSED: a file system cannot be mounted:", line)
		case line == "done":
			return
		default:
			t.Log(line)
		}
	}
}

// fillDisk commits until there is no room, looks what is there, makes room and
// goes on.
func fillDisk(ctx context.Context, s *sqlite.Store) error {
	dir := os.Getenv(dirVariable)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		fmt.Fprintln(os.Stdout, noMount, err)
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600); err != nil {
		return err
	}
	v, err := openModel(ctx, s)
	if err != nil {
		return err
	}
	c, err := v.Load(ctx, "0")
	if err != nil {
		return err
	}
	if c, err = untilFull(ctx, v, c); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "full at", c.Position)
	for range 3 {
		if err := agrees(ctx, v, c); err != nil {
			return err
		}
		if _, err := step(ctx, v, c); !errors.Is(err, store.ErrUnknown) {
			return fmt.Errorf("commit on a full disk: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		return err
	}
	if c, err = step(ctx, v, c); err != nil {
		return fmt.Errorf("commit when there is room again: %w", err)
	}
	if err := agrees(ctx, v, c); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "done")
	return nil
}

func untilFull(ctx context.Context, v projector.View, c projector.Checkpoint) (projector.Checkpoint, error) {
	for c.Position < 10_000 {
		next, err := step(ctx, v, c)
		if errors.Is(err, store.ErrUnknown) {
			return c, nil
		}
		if err != nil {
			return c, err
		}
		c = next
	}
	return c, errors.New("the disk is never full")
}

// step adds a document of its own and changes the first.
func step(ctx context.Context, v projector.View, c projector.Checkpoint) (projector.Checkpoint, error) {
	c.Position++
	n := int(c.Position)
	added := projector.Document{Key: fmt.Sprintf("key-%d", n), Position: c.Position, Document: fmt.Appendf(nil, `{"n":%d,"x":%q}`, n, strings.Repeat("x", 20_000))}
	return v.Commit(ctx, projector.Write{Checkpoint: c, Documents: []projector.Document{doc("first", c.Position, n), added}})
}

func agrees(ctx context.Context, v projector.View, c projector.Checkpoint) error {
	there, err := v.Load(ctx, "0")
	if err != nil {
		return err
	}
	docs, _, err := v.List(ctx, "", projector.MaxPage, c)
	if err != nil {
		return err
	}
	if there.Revision != c.Revision || len(docs) != int(c.Position)+1 {
		return fmt.Errorf("%d documents, and the checkpoint is %+v, want %+v", len(docs), there, c)
	}
	return nil
}
