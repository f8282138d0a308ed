package postgres

import (
	"context"
	"database/sql"

	"github.com/annals-go/annals/store"
)

// inside runs a transaction, durable whatever the server's default is.
func inside(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if _, err := tx.ExecContext(ctx, durably); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// oldest is the first version of PostgreSQL that is taken, 13.
const oldest = 130000

// fit makes sure that the server can be trusted with data.
func fit(ctx context.Context, db *sql.DB, unsynced bool) error {
	var encoding, fsync string
	var version int
	row := db.QueryRowContext(ctx, `SELECT current_setting('server_encoding'), current_setting('fsync'), current_setting('server_version_num')::int`)
	if err := row.Scan(&encoding, &fsync, &version); err != nil {
		return err
	}
	invalid := func(reason string) error {
		return &store.InvalidError{What: "server", Value: "PostgreSQL", Reason: reason}
	}
	switch {
	case version < oldest:
		return invalid("it is older than version 13")
	case encoding != "UTF8":
		return invalid("its database has the encoding " + encoding + ", not UTF8")
	case fsync != "on" && !unsynced:
		return invalid("it does not sync its disk: fsync is off")
	}
	return nil
}
