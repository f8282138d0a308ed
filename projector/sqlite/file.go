package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// file is the open file of one model.
type file struct {
	cfg    Config
	path   string
	opened os.FileInfo           // which file it was
	ended  atomic.Pointer[error] // why it is closed; nil if it is not
	id     identity

	write, read *sql.DB // one connection that writes, some that cannot
	statements
}

// openFile opens the file of a model, made if it is not there. What another
// process was about to remove when it ended is removed first.
func openFile(ctx context.Context, cfg Config, layout projector.Layout) (*file, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	release, err := alone(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer release()
	path := cfg.pathOf(layout.Model)
	id, err := look(ctx, path)
	if err == nil && id.dropped {
		if err = remove(path); err == nil {
			id, err = look(ctx, path)
		}
	}
	if err != nil {
		return nil, refused(path, err)
	}
	f := &file{cfg: cfg, path: path, id: id}
	if err := f.open(ctx, layout); err != nil {
		return nil, errors.Join(err, f.close(errGone))
	}
	return f, nil
}

// look says what the file at path is, which is made empty if it is not there.
// The connection it looks through cannot write: the file may be somebody else's.
func look(ctx context.Context, path string) (identity, error) {
	if err := makeEmpty(path); err != nil {
		return identity{}, err
	}
	name, err := dsn(path, "ro")
	if err != nil {
		return identity{}, err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return identity{}, err
	}
	db.SetMaxOpenConns(1)
	id, err := identify(ctx, db)
	return id, errors.Join(err, db.Close())
}

// makeEmpty makes a file that only its owner can read, as SQLite then makes
// those beside it, unless there is one. What is left beside one that was removed
// would be taken for its own.
func makeEmpty(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%w: a %s", errForeign, info.Mode().Type())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := remove(path); err != nil {
		return err
	}
	made, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(made.Close(), syncDir(filepath.Dir(path)))
}

// refused names the file in an error, which matches [store.ErrInvalid] if it is
// not a model's.
func refused(path string, err error) error {
	if errors.Is(err, errForeign) || primary(codeOf(err)) == sqlite3.SQLITE_NOTADB {
		return &store.InvalidError{What: "file", Value: path, Reason: err.Error()}
	}
	return fmt.Errorf("file %s: %w", path, err)
}

// open opens the connections, makes the tables if the file is empty, and brings
// to the disk what a process that was killed had written and not synced.
func (f *file) open(ctx context.Context, layout projector.Layout) error {
	var err error
	if f.opened, err = os.Stat(f.path); err != nil {
		return err
	}
	if f.write, err = connect(f.path, "rw", f.cfg.writing(), 1); err != nil {
		return err
	}
	if f.read, err = connect(f.path, "ro", reading(), f.cfg.Readers); err != nil {
		return err
	}
	if f.id.empty {
		if err := create(ctx, f.write, f.cfg, layout); err != nil {
			return err
		}
		f.id = identity{model: layout.Model, of: f.cfg.Namespace, tables: layout.Tables}
	}
	if _, err := f.write.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		return err
	}
	return f.prepare(ctx, f.write, f.read)
}

func connect(path, mode string, settings []string, connections int) (*sql.DB, error) {
	name, err := dsn(path, mode, settings...)
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(preparing{connector})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// suit makes sure that the file is what the layout asks for.
func (f *file) suit(ctx context.Context, layout projector.Layout) error {
	if err := f.id.suits(f.cfg, layout); err != nil {
		return refused(f.path, err)
	}
	for _, member := range layout.Indexes {
		if _, err := f.write.ExecContext(ctx, indexOf(member)); err != nil {
			return fmt.Errorf("index %s: %w", member, err)
		}
	}
	return nil
}

// current returns errGone if the file is closed, or is not the one at its path
// any more: whatever is written to it then is lost when the process ends.
func (f *file) current() error {
	if why := f.ended.Load(); why != nil {
		return *why
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, f.opened) {
		return errGone
	}
	return err
}

// close releases the file, and says why to whoever asks for more. The writer is the last to go: it empties the log
// into the file, which readers cannot.
func (f *file) close(why error) error {
	f.ended.Store(&why)
	var errs []error
	for _, db := range []*sql.DB{f.read, f.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// syncDir makes durable which files a directory has.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
