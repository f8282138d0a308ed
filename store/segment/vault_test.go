package segment_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

func newDir(t *testing.T) (segment.Vault, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	v, err := segment.Dir(path)
	if err != nil {
		t.Fatal(err)
	}
	return v, path
}

func names(t *testing.T, v segment.Vault, prefix string) string {
	t.Helper()
	all, err := v.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range all {
		list = append(list, e.Name)
	}
	return strings.Join(list, " ")
}

func TestDir(t *testing.T) {
	t.Parallel()
	v, path := newDir(t)
	if v.String() != path {
		t.Errorf("it says %s", v)
	}
	for _, name := range []string{"b/2", "a", "b/1", "c.json"} {
		if err := segment.WriteFile(t.Context(), v, name, []byte("it is "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, v, ""); got != "a b/1 b/2 c.json" {
		t.Errorf("list: %s", got)
	}
	if got := names(t, v, "b/"); got != "b/1 b/2" {
		t.Errorf("list of b/: %s", got)
	}
	data, err := segment.ReadFile(t.Context(), v, "b/2", 100)
	if err != nil || string(data) != "it is b/2" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := segment.ReadFile(t.Context(), v, "b/2", 8); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	for range 2 {
		if err := v.Remove(t.Context(), "b/2"); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Open(t.Context(), "b/2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	if _, err := v.Open(t.Context(), "b"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a directory: %v", err)
	}
}

// A file is there when it is closed, and not before; then it is another.
// What lies beside the folder that is listed does not matter; that the directory
// itself is gone does.
func TestDirListsOneFolder(t *testing.T) {
	t.Parallel()
	v, path := newDir(t)
	if err := segment.WriteFile(t.Context(), v, "shop/a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "lost+found"), 0o000); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{"shop/": "shop/a", "sho/": "", "shop/b": "", "none/at/all": ""} {
		if got := names(t, v, prefix); got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if _, err := v.List(t.Context(), "shop/"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the directory is gone: %v", err)
	}
}

func TestDraft(t *testing.T) {
	t.Parallel()
	v, path := newDir(t)
	for _, content := range []string{"first", "second, longer"} {
		d, err := v.Create(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if before, err := segment.ReadFile(t.Context(), v, "f", 100); string(before) == content {
			t.Errorf("it is there before it is closed: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := d.Abort(); err != nil {
			t.Errorf("abort after close: %v", err)
		}
		if err := d.Close(); err == nil {
			t.Error("closed twice")
		}
		if after, err := segment.ReadFile(t.Context(), v, "f", 100); err != nil || string(after) != content {
			t.Errorf("%q, %v", after, err)
		}
	}
	d, err := v.Create(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, v, ""); got != "f" {
		t.Errorf("a draft is listed: %s", got)
	}
	if err := d.Abort(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(path)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// An open file does not change when another takes its name.
func TestFileStays(t *testing.T) {
	t.Parallel()
	v, _ := newDir(t)
	for _, content := range []string{"old", "new"} {
		if err := segment.WriteFile(t.Context(), v, "f", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if content == "new" {
			break
		}
		f, err := v.Open(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			b := make([]byte, 3)
			if _, err := f.ReadAt(b, 0); err != nil || string(b) != "old" {
				t.Errorf("%q, %v", b, err)
			}
			f.Close()
		}()
	}
}

func TestDraftEndsWithItsContext(t *testing.T) {
	t.Parallel()
	v, _ := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	d, err := v.Create(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := d.Write([]byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v", err)
	}
	if err := d.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if got := names(t, v, ""); got != "" {
		t.Errorf("it is there: %s", got)
	}
}

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "a/b", "A-1_2.seg", strings.Repeat("x", segment.MaxNameBytes)} {
		if err := segment.ValidateName(name); err != nil {
			t.Error(err)
		}
	}
	v, _ := newDir(t)
	for _, name := range []string{"", "/a", "a/", "a//b", "..", "a/../b", ".a", "a b", "a\\b", "ä", strings.Repeat("x", segment.MaxNameBytes+1)} {
		if err := segment.ValidateName(name); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
		if err := segment.WriteFile(t.Context(), v, name, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("write %q: %v", name, err)
		}
	}
}

func TestSumText(t *testing.T) {
	t.Parallel()
	want := segment.Sum{1, 2, 31: 255}
	text, _ := want.MarshalText()
	var got segment.Sum
	if err := got.UnmarshalText(text); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{"", "ab", string(text) + "00", "x" + string(text[1:])} {
		if err := got.UnmarshalText([]byte(bad)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
