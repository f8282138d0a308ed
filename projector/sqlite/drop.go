package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// dropFile marks a model as dropped and removes its file. open is the file if
// this store has it open.
func dropFile(ctx context.Context, cfg Config, model projector.Model, open *file) error {
	path := cfg.pathOf(model)
	if _, err := os.Lstat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	release, err := alone(ctx, cfg)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return errors.Join(closed(open), remove(path))
	}
	if err := mark(ctx, path); err != nil {
		return refused(path, err)
	}
	if err := closed(open); err != nil {
		return err
	}
	return remove(path)
}

func closed(f *file) error {
	if f == nil {
		return nil
	}
	return f.close(errGone)
}

// mark stores in a model that it is dropped. One that is damaged so much that it
// cannot be marked shows that to whoever has it open.
func mark(ctx context.Context, path string) error {
	id, err := look(ctx, path)
	if err == nil && (id.empty || id.dropped) || isDamaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	db, err := connect(path, "rw", []string{"_txlock=immediate", "_synchronous=FULL"}, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "UPDATE annals_model SET dropped = 1")
	if isDamaged(err) {
		err = nil
	}
	return errors.Join(err, db.Close())
}

// isDamaged reports whether the error is about a model that is damaged, and not
// about a file that was never one.
func isDamaged(err error) bool {
	return primary(codeOf(err)) == sqlite3.SQLITE_CORRUPT || errors.Is(err, store.ErrDamaged)
}

// remove removes a file and what is beside it. The file goes first: without its
// log it may be older than its mark.
func remove(path string) error {
	for _, name := range append([]string{path}, besides(path)...) {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}
