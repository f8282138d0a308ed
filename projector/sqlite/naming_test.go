package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Any SQLite tool finds the live model under the view's own name.
func TestNameStandsForAModel(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED, NOT PASSED: not every account may make symbolic links here")
	}
	dir := t.TempDir()
	s := openStore(t, dir)
	next := projector.Model{View: "cases", Version: 2, Build: 1}
	if err := s.Name(within(t), model); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("name of a model that is not there: %v", err)
	}
	for n, m := range []projector.Model{model, next, model} {
		v := openView(t, s, projector.Layout{Model: m})
		commit(t, v, load(t, v), doc("a", 1, n))
		for range 2 {
			if err := s.Name(within(t), m); err != nil {
				t.Fatal(err)
			}
		}
		if got := nameOf(t, filepath.Join(dir, "app_cases.db")); got != n {
			t.Errorf("after %d names the document says %d", n+1, got)
		}
	}
	if err := s.Drop(within(t), next); err != nil {
		t.Fatal(err)
	}
	if got := nameOf(t, filepath.Join(dir, "app_cases.db")); got != 2 {
		t.Errorf("after another model was dropped the document says %d", got)
	}
}

func nameOf(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(within(t), `SELECT document ->> 'n' FROM documents WHERE key = 'a'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNameLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	openView(t, s, projector.Layout{})
	path := filepath.Join(dir, "app_cases.db")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Name(within(t), model); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("name where another file is: %v", err)
	}
	if got, err := os.ReadFile(path); string(got) != "mine" {
		t.Errorf("the file has %q, %v", got, err)
	}
}
