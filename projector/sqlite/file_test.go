package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/sqlite"
	"github.com/annals-go/annals/store"
)

func fileOf(dir string) string { return filepath.Join(dir, "app_cases_v1.db") }

// asOperator runs statements as any SQLite tool would.
func asOperator(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(within(t), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheOwnerReadsTheFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	v := openView(t, openStore(t, dir), projector.Layout{})
	commit(t, v, load(t, v), doc("a", 1, 1))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if got := strings.Join(names, " "); got != "app.lock app_cases_v1.db app_cases_v1.db-shm app_cases_v1.db-wal" {
		t.Errorf("the directory has %s", got)
	}
}

// What is no model of this name is refused, and stays as it is.
func TestFilesThatAreSomethingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"no database": {func(t *testing.T, path string) { writeFile(t, path, bytes.Repeat([]byte("not a database. "), 1000)) }, store.ErrInvalid},
		"a database of somebody else": {func(t *testing.T, path string) {
			asOperator(t, path, `CREATE TABLE theirs (a)`, `INSERT INTO theirs VALUES (1)`)
		}, store.ErrInvalid},
		"a directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, store.ErrInvalid},
		"a later format": {func(t *testing.T, path string) { makeModel(t, path, model, `PRAGMA user_version = 2`) }, store.ErrInvalid},
		"another model":  {func(t *testing.T, path string) { makeModel(t, path, projector.Model{View: "cases", Version: 2}) }, store.ErrInvalid},
		"another build": {func(t *testing.T, path string) {
			makeModel(t, path, projector.Model{View: "cases", Version: 1, Build: 1})
		}, store.ErrInvalid},
		"a model without a name": {func(t *testing.T, path string) { makeModel(t, path, model, `DELETE FROM annals_model`) }, store.ErrDamaged},
		"a model without tables": {func(t *testing.T, path string) { makeModel(t, path, model, `DROP TABLE documents`) }, store.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.make(t, fileOf(dir))
			before, _ := os.ReadFile(fileOf(dir))
			s := openStore(t, dir)
			if _, err := s.Open(within(t), projector.Layout{Model: model}); !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
			}
			if after, _ := os.ReadFile(fileOf(dir)); errors.Is(c.want, store.ErrInvalid) && !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// makeModel makes a model and puts its file at path.
func makeModel(t *testing.T, path string, m projector.Model, statements ...string) {
	t.Helper()
	dir := t.TempDir()
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	v := openView(t, s, projector.Layout{Model: m})
	commit(t, v, load(t, v), doc("a", 1, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(dir, "app_"+m.String()+".db")
	asOperator(t, made, statements...)
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Drop removes only what is a model, and also one that is damaged.
func TestDropOfWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	drop := func() error { return s.Drop(within(t), model) }
	if err := drop(); err != nil {
		t.Errorf("drop of nothing: %v", err)
	}
	asOperator(t, fileOf(dir), `CREATE TABLE theirs (a)`)
	if err := drop(); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("drop of somebody else's database: %v, want ErrInvalid", err)
	}
	asOperator(t, fileOf(dir), `SELECT * FROM theirs`)
	makeModel(t, fileOf(dir), model, `DROP TABLE documents`)
	if err := drop(); err != nil {
		t.Errorf("drop of a damaged model: %v", err)
	}
	writeFile(t, fileOf(dir)+"-wal", []byte("left behind"))
	v := openView(t, s, projector.Layout{})
	commit(t, v, load(t, v), doc("a", 1, 1))
	if err := drop(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "app.lock" {
		t.Errorf("after the drop there are %v, %v", left, err)
	}
}

// A process ended between the mark and the removal: the model is as good as gone.
func TestDropThatWasCutShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	makeModel(t, fileOf(dir), model, `UPDATE annals_model SET dropped = 1`)
	v := openView(t, openStore(t, dir), projector.Layout{})
	if c := load(t, v); c.Revision != 0 {
		t.Errorf("the new model begins with %+v", c)
	}
}

// While a model is marked and its file is still there, it is closed to those who
// have it open: what removes the file may be slow, or another system forbid it.
func TestMarkedAsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openView(t, openStore(t, dir), projector.Layout{Tables: tables})
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	asOperator(t, fileOf(dir), `UPDATE annals_model SET dropped = 1`)
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: c}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	_, loaded := v.Load(within(t), "0")
	_, got := v.Get(within(t), []string{"a"})
	_, _, listed := v.List(within(t), "", 10)
	_, noted := v.Notes(within(t), "0")
	queried := v.Query(within(t), func(*sql.Tx) error { return nil })
	for doing, err := range map[string]error{"load": loaded, "get": got, "list": listed, "notes": noted, "query": queried} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", doing, err)
		}
	}
}

// What Commit promises rests on these settings of the connection that writes;
// only a power cut would show them otherwise.
func TestWritesAreSynced(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{Tables: tables})
	_, err := v.Commit(within(t), projector.Write{Checkpoint: load(t, v), Apply: func(ctx context.Context, tx *sql.Tx) error {
		for setting, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "fullfsync": "0", "locking_mode": "normal"} {
			var got string
			if err := tx.QueryRowContext(ctx, "PRAGMA "+setting).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, %v, want %q", setting, got, err, want)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAClosedStore(t *testing.T) {
	t.Parallel()
	s := sqlite.New(sqlite.Config{Dir: t.TempDir(), Namespace: "app"})
	v := openView(t, s, projector.Layout{})
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, opened := s.Open(within(t), projector.Layout{Model: model})
	_, read := v.Get(within(t), []string{"a"})
	_, written := v.Commit(within(t), projector.Write{Checkpoint: c})
	for doing, err := range map[string]error{"open": opened, "get": read, "commit": written, "drop": s.Drop(within(t), model)} {
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, projector.ErrFenced) {
			t.Errorf("%s: %v, want ErrUnavailable", doing, err)
		}
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg    sqlite.Config
		layout projector.Layout
	}{
		{sqlite.Config{Namespace: "app"}, projector.Layout{Model: model}},
		{sqlite.Config{Dir: t.TempDir()}, projector.Layout{Model: model}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "../app"}, projector.Layout{Model: model}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "app", Readers: -1}, projector.Layout{Model: model}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "app"}, projector.Layout{Model: projector.Model{View: "a_b", Version: 1}}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "app"}, projector.Layout{Model: projector.Model{View: "cases"}}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "app"}, projector.Layout{Model: model, Indexes: []string{`a') --`}}},
		{sqlite.Config{Dir: t.TempDir(), Namespace: "app"}, projector.Layout{Model: model, Indexes: []string{""}}},
	} {
		if _, err := sqlite.New(c.cfg).Open(within(t), c.layout); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v %+v: %v, want ErrInvalid", c.cfg, c.layout, err)
		}
	}
}

// Pages of the file are overwritten: what cannot be read is said to be damaged,
// and no document comes out of it that was not put in.
func TestADamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app"})
	v := openView(t, s, projector.Layout{})
	var docs []projector.Document
	for i := range 5000 {
		docs = append(docs, doc(fmt.Sprintf("key-%d", i), 1, i))
	}
	commit(t, v, load(t, v), docs...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(fileOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := 12 * page; at < len(data); at += 3 * page {
		copy(data[at:], bytes.Repeat([]byte{0xa5}, page))
	}
	writeFile(t, fileOf(dir), data)
	v = openView(t, openStore(t, dir), projector.Layout{})
	_, _, listed := v.List(within(t), "", projector.MaxPage)
	if !errors.Is(listed, store.ErrDamaged) {
		t.Errorf("list: %v, want ErrDamaged", listed)
	}
	for i := range docs {
		docs[i].Document = []byte(`{}`)
	}
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: load(t, v), Documents: docs}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("commit: %v, want ErrDamaged", err)
	}
	if c := load(t, v); c.Position != 1 {
		t.Errorf("the checkpoint is %+v", c)
	}
}

// Somebody reads all the time, and takes his time. The log of changes does not
// grow for ever.
func TestTheLogIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const most = 1 << 20
	s := sqlite.New(sqlite.Config{Dir: dir, Namespace: "app", MaxLogBytes: most})
	t.Cleanup(func() { _ = s.Close() })
	v := openView(t, s, projector.Layout{})
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	ctx, cancel := context.WithCancel(within(t))
	reading, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ctx.Err() == nil; first = false {
			_ = v.Query(ctx, func(tx *sql.Tx) error {
				if first {
					close(reading)
				}
				_, err := tx.ExecContext(ctx, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT count(*) FROM n`)
				return err
			})
		}
	}()
	<-reading
	beyond := 0
	for i := range 40 { // what does not change, SQLite does not write
		text := strings.Repeat(string(rune('a'+i%26)), 256<<10)
		c = commit(t, v, c, projector.Document{Key: "large", Position: 1, Document: fmt.Appendf(nil, "%q", text)})
		info, err := os.Stat(fileOf(dir) + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most {
			beyond++
		}
	}
	cancel()
	<-ended
	if beyond > 10 { // a machine that is busy may make a commit wait in vain
		t.Errorf("the log was too long after %d of 40 commits", beyond)
	}
}

// Statements of an operator hold the file. A commit that may not wait says that
// the store could not be asked, and one that may gets through.
func TestALockedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openView(t, openStore(t, dir), projector.Layout{})
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	db, err := sql.Open("sqlite", fileOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(within(t), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
	defer cancel()
	if _, err := v.Commit(short, projector.Write{Checkpoint: c}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit: %v, want ErrUnavailable", err)
	}
	if got, err := v.Get(within(t), []string{"a"}, c); err != nil || len(got) != 1 {
		t.Errorf("while somebody writes, %v is read, %v", got, err)
	}
	done := make(chan error)
	go func() {
		_, err := v.Commit(within(t), projector.Write{Checkpoint: c})
		done <- err
	}()
	if _, err := conn.ExecContext(within(t), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A model that another process has made, and that is open, is removed together
// with what is beside it.
func TestNoFilesAreLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := openStore(t, dir), openStore(t, dir)
	v := openView(t, one, projector.Layout{})
	commit(t, v, load(t, v), doc("a", 1, 1))
	if err := two.Drop(within(t), model); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if _, err := os.Stat(fileOf(dir) + end); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want none", end, err)
		}
	}
	w := openView(t, two, projector.Layout{})
	c := commit(t, w, load(t, w), doc("b", 1, 1))
	if err := one.Close(); err != nil { // which must not remove the new one's log
		t.Fatal(err)
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	again := openView(t, openStore(t, dir), projector.Layout{})
	if got := load(t, again); got.Revision != c.Revision {
		t.Errorf("the checkpoint is %+v, want %+v", got, c)
	}
}
