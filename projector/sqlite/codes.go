package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// errGone says that the file of a model is not there any more, or another one.
var errGone = fmt.Errorf("the model was removed: %w", store.ErrUnavailable)

// codeOf is SQLite's code of an error, with what it says about the operating
// system; 0 if the error is not SQLite's.
func codeOf(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// primary is the kind of a code.
func primary(code int) int { return code & 0xff }

// kindOf says of what kind an error of SQLite is, in the words of the contract;
// nil if it is about the statement.
func kindOf(code int) error {
	switch code {
	case sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_SHORT_READ:
		return store.ErrDamaged
	}
	switch primary(code) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return store.ErrDamaged
	case sqlite3.SQLITE_TOOBIG:
		return store.ErrTooLarge
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY:
		return store.ErrUnavailable
	}
	return nil
}

// failsDisk reports whether the disk failed or has no room: what was to be
// written may be found after the process is started again, although it was refused.
func failsDisk(err error) bool {
	code := primary(codeOf(err))
	return code == sqlite3.SQLITE_IOERR || code == sqlite3.SQLITE_FULL
}

func isTyped(err error) bool {
	for _, kind := range []error{store.ErrDamaged, store.ErrInvalid, store.ErrTooLarge, store.ErrUnknown, store.ErrUnavailable, projector.ErrFenced} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// failed says what failed, and makes the error match what the contract has for
// it. A statement of this package that SQLite does not understand means that the
// tables are not what they were made: the file is damaged.
func failed(doing string, err error) error {
	if isTyped(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	kind := store.ErrUnavailable
	if code := codeOf(err); code != 0 {
		if kind = kindOf(code); kind == nil {
			kind = store.ErrDamaged
		}
	}
	return fmt.Errorf("%s: %w: %w", doing, kind, err)
}

// failedIn is failed for an error of the application's own statements: it keeps
// its meaning, unless the file or the context is the reason. What the file is the
// reason for is never the application's fault, so it matches
// [store.ErrUnavailable], also if the file is damaged.
func failedIn(doing string, ended, err error) error {
	kind := kindOf(codeOf(err))
	switch {
	case errors.Is(err, store.ErrUnavailable):
	case errors.Is(kind, store.ErrDamaged):
		return fmt.Errorf("%s: %w: %w: %w", doing, store.ErrUnavailable, kind, err)
	case errors.Is(kind, store.ErrUnavailable), ended != nil:
		return fmt.Errorf("%s: %w: %w", doing, store.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
