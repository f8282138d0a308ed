package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/segment"
)

var errCut = fmt.Errorf("%w: the line is cut", store.ErrUnavailable)

// fragile is a vault that stops at a step, for good, as a process does that is
// killed: nothing that comes later happens. It is whole while left is 0.
type fragile struct {
	segment.Vault
	left atomic.Int64
	dead atomic.Bool
}

// after lets so many steps happen.
func (v *fragile) after(steps int) {
	v.dead.Store(false)
	v.left.Store(int64(steps))
}

func (v *fragile) heal() { v.after(0) }

func (v *fragile) step() error {
	if v.dead.Load() {
		return errCut
	}
	if v.left.Load() > 0 && v.left.Add(-1) == 0 {
		v.dead.Store(true)
		return errCut
	}
	return nil
}

func (v *fragile) Create(ctx context.Context, name string) (segment.Draft, error) {
	if err := v.step(); err != nil {
		return nil, err
	}
	d, err := v.Vault.Create(ctx, name)
	return &fragileDraft{d, v}, err
}

func (v *fragile) Open(ctx context.Context, name string) (segment.File, error) {
	if err := v.step(); err != nil {
		return nil, err
	}
	return v.Vault.Open(ctx, name)
}

func (v *fragile) List(ctx context.Context, prefix string) ([]segment.Entry, error) {
	if err := v.step(); err != nil {
		return nil, err
	}
	return v.Vault.List(ctx, prefix)
}

func (v *fragile) Remove(ctx context.Context, name string) error {
	if err := v.step(); err != nil {
		return err
	}
	return v.Vault.Remove(ctx, name)
}

type fragileDraft struct {
	segment.Draft
	vault *fragile
}

func (d *fragileDraft) Close() error {
	if err := d.vault.step(); err != nil {
		_ = d.Abort()
		return err
	}
	if err := d.Draft.Close(); err != nil {
		return err
	}
	return d.vault.step() // it is there, and nobody hears of it
}

func TestInterruptedAtEachStep(t *testing.T) {
	t.Parallel()
	interrupted := 0
	for step := 1; ; step++ {
		b := newBench(t, 4, 12)
		a := b.open(t)
		b.vault.after(step)
		_, err := b.run(t, a, archive.Job{Cut: b.keep(2)})
		b.vault.heal()
		b.check(t)
		if err == nil {
			b.wantLive(t, 8)
			break
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("step %d: %v", step, err)
		}
		interrupted++
		if _, err := b.run(t, a, archive.Job{Cut: b.keep(2)}); err != nil {
			t.Fatalf("again after step %d: %v", step, err)
		}
		b.wantLive(t, 8)
		b.check(t)
		wantFindings(t, b, 0)
	}
	if interrupted < 8 {
		t.Fatalf("interrupted at %d steps only", interrupted)
	}
}

// Nothing is taken out of the log before the archive is on the disk, whoever wrote it.
func TestRunWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	const streams, rounds = 4, 12
	b := newBench(t, streams, rounds)
	full, waits := errors.New("the disk is full"), 0
	b.barrier = func(ctx context.Context) error {
		waits++
		b.wantLive(t, streams*rounds)
		files, err := b.vault.List(ctx, "bank/")
		if err != nil || len(files) != 2 || !strings.HasSuffix(files[1].Name, "/run.json") {
			t.Errorf("before the disk was waited for: %v, %v", files, err)
		}
		if waits < 3 {
			return full
		}
		return nil
	}
	for range 2 {
		if _, err := b.run(t, b.open(t), archive.Job{Cut: b.keep(2)}); !errors.Is(err, full) {
			t.Fatal(err)
		}
		b.wantLive(t, streams*rounds)
		b.check(t)
	}
	if r := b.mustRun(t, archive.Job{Cut: b.keep(2)}); r.Run.Name != "" || r.Truncated != streams || waits != 3 {
		t.Errorf("%+v after %d waits: want what the first run wrote to be truncated", r, waits)
	}
	b.wantLive(t, 2*streams)
	b.check(t)
}

func TestVerifyFindsHarm(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, err := segment.Dir(root)
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchIn(t, dir, 5, 60)
	b.mustRun(t, archive.Job{Cut: b.keep(2)})
	files, err := dir.List(t.Context(), "bank/")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(root, f.Name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		isEntry := strings.HasSuffix(f.Name, ".json")
		for at := range 20 {
			if isEntry {
				break
			}
			harmed := append([]byte(nil), whole...)
			harmed[at*(len(whole)-1)/19] ^= 0x04
			write(t, path, harmed)
			if found := wantFindings(t, b, 1); !strings.Contains(strings.Join(found.Faults, "\n"), f.Name) {
				t.Fatalf("byte %d of %s: the findings do not name it: %v", at*(len(whole)-1)/19, f.Name, found.Faults)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if f := wantFindings(t, b, 1); isEntry && f.Unlisted == 0 {
			t.Fatalf("findings %+v, want unlisted files", f)
		}
		write(t, path, whole)
		wantFindings(t, b, 0)
	}
	b.check(t)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Damage takes nothing away from what stands before it.
func TestReadUpToHarm(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, err := segment.Dir(root)
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchIn(t, dir, 5, 60)
	b.fileBytes = 4 << 10
	b.mustRun(t, archive.Job{Cut: b.keep(2)})
	files, err := dir.List(t.Context(), "bank/")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	between := func() (got []uint64, err error) {
		for c, err := range b.open(t).Between(t.Context(), 0, ^uint64(0)) {
			if err != nil {
				return got, err
			}
			got = append(got, c.Sequence)
		}
		return got, nil
	}
	whole, err := between()
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range files[:len(files)-1] { // the last is the entry
		path := filepath.Join(root, f.Name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[40] ^= 0x04 // in the first frame
		write(t, path, data)
		got, err := between()
		if !errors.Is(err, store.ErrDamaged) || (len(got) > 0) != (n > 0) || !slices.Equal(got, whole[:len(got)]) {
			t.Errorf("file %d: %d of %d commits, %v", n, len(got), len(whole), err)
		}
		data[40] ^= 0x04
		write(t, path, data)
	}
}
