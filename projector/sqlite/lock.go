package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
)

// alone returns when no other process, and no other store of this one, makes,
// opens or removes a model of the namespace, and keeps it so until release. The
// lock is that of an SQLite database without contents: it works wherever the
// models do, and ends with the process.
func alone(ctx context.Context, cfg Config) (release func(), err error) {
	name, err := dsn(cfg.lockPath(), "rwc")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	release = func() {
		_ = conn.Close()
		_ = db.Close()
	}
	// Not as a transaction of database/sql, which would end with ctx.
	if _, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
		err = os.Chmod(cfg.lockPath(), 0o600)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}
