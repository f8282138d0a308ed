package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// errAborted ends a commit whose Apply left no transaction to commit.
var errAborted = errors.New("the transaction was ended by Apply, or an error of it was passed over")

// class is what an error of the server means to who asked.
type class int

const (
	temporary class = iota // it may be otherwise when it is asked again
	full                   // the disk
	data                   // what was to be stored can never be
	large                  // over a limit
	absent                 // a table or a schema is not there
	damaged
	others
)

// codes are the SQLSTATEs, or their first two characters, of each class.
var codes = map[class][]string{
	temporary: {
		"08",    // connection
		"40",    // serialization, deadlock
		"53",    // memory, connections; but for the disk
		"57",    // shutdown, start, statement timeout
		"58",    // the system
		"28",    // who may connect: it changes while a server is set up
		"3D",    // the database, likewise
		"25006", // it is a replica now
		"25P03", // idle for too long
		"55P03", // a lock
		"55006", // in use
	},
	full:    {"53100"},
	data:    {"22", "23"},
	large:   {"54"},
	absent:  {"42P01", "3F000"},
	damaged: {"XX001", "XX002"},
}

// classOf returns the class of the server's answer, or of what else went wrong:
// without an answer it is always the connection.
func classOf(err error) class {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return temporary
	}
	for c := others - 1; c >= temporary; c-- {
		if slices.Contains(codes[c], answer.Code) || len(answer.Code) == 5 && slices.Contains(codes[c], answer.Code[:2]) {
			return c
		}
	}
	return others
}

// failed names an error by what was being done, and makes it match what the
// contract says.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if known(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, kindOf(err), err)
}

// known reports whether an error says already what callers branch on.
func known(err error) bool {
	if _, handlers := errors.AsType[*handlerError](err); handlers {
		return true
	}
	return slices.ContainsFunc([]error{
		projector.ErrFenced, projector.ErrRemains, store.ErrUnavailable, store.ErrUnknown, store.ErrInvalid, store.ErrTooLarge, store.ErrDamaged, store.ErrNotFound,
	}, func(target error) bool { return errors.Is(err, target) })
}

func kindOf(err error) error {
	if errors.Is(err, errAborted) {
		return store.ErrInvalid
	}
	switch classOf(err) {
	case full:
		return errFull
	case data:
		return store.ErrInvalid
	case large:
		return store.ErrTooLarge
	case damaged:
		return store.ErrDamaged
	default:
		return store.ErrUnavailable
	}
}

// errFull is what a server without room says, whatever it was asked: nobody can
// tell what it still manages to store.
var errFull = fmt.Errorf("%w: the server's disk is full", store.ErrUnknown)

// gone reports whether an error is of the connection or of the moment, so that
// the same may go well if it is tried again.
func gone(err error) bool {
	if known(err) {
		return errors.Is(err, store.ErrUnavailable)
	}
	return !errors.Is(err, errAborted) && classOf(err) == temporary
}

// missing reports whether the model's own tables are not there: it was dropped.
func missing(err error) bool {
	_, answered := errors.AsType[*pgconn.PgError](err)
	return answered && classOf(err) == absent
}

// ofData reports whether the server cannot read something of a document.
func ofData(err error) bool {
	answer, answered := errors.AsType[*pgconn.PgError](err)
	return answered && (classOf(err) == data || answer.Code == "54001") // too deep
}

// refused reports whether a failed commit is definitely not stored: the server
// said so, and went on.
func refused(err error) bool {
	answer, answered := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, sql.ErrTxDone) || answered && answer.Severity == "ERROR"
}

// handlerError is an error of the application's own function: it is passed on
// as it is, and says nothing of the store.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }

// handlers tells what the application's function came to from what stood in
// its way: the moment, the disk and the end of its time are the store's.
func handlers(ctx context.Context, err error) error {
	_, answered := errors.AsType[*pgconn.PgError](err)
	switch {
	case answered && classOf(err) == full:
		return fmt.Errorf("%w: %w", errFull, err)
	case answered && classOf(err) == damaged:
		return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, store.ErrDamaged, err)
	case answered && classOf(err) == temporary, ctx.Err() != nil, errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return &handlerError{err: err}
}
