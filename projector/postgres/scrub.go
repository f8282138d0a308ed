package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var _ projector.Scrubber = (*view)(nil)

// ourTables are those that every model has. What is personal in them is sealed.
var ourTables = []string{"meta", "checkpoints", "documents", "notes"}

// Scrub implements [projector.Scrubber]. The tables that the definition made are
// written anew (VACUUM FULL): an ordinary VACUUM gives the room of rows that are gone
// back, and leaves their bytes in it until others come. Nobody reads or writes a table while
// that goes on, and it takes the table's room a second time. Then the server's statistics,
// which hold samples of the values, are made again of the rows that stay, and written anew.
// What is in the server's log of changes (WAL), on its replicas and in backups stays until
// these are recycled.
func (v *view) Scrub(ctx context.Context) error {
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _ = conn.Close() }()
	if err := nobodyOlder(ctx, conn); err != nil {
		return v.failed("scrub", err)
	}
	tables, err := v.tables(ctx, conn)
	if err != nil {
		return v.failed("scrub", err)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", lockWait.Milliseconds())); err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "RESET lock_timeout") }()
	for _, table := range tables {
		if _, vacuumed := conn.ExecContext(ctx, "VACUUM (FULL, ANALYZE) "+v.schema.of(table)); vacuumed != nil {
			err = errors.Join(err, fmt.Errorf("table %s: %w", table, vacuumed))
		}
	}
	if len(tables) > 0 {
		err = errors.Join(err, scrubStatistics(ctx, conn))
	}
	return v.failed("scrub", err)
}

// scrubStatistics writes the catalogs anew that hold values of columns: the most frequent
// ones, and bounds of a histogram. The owner of the database may do that; for anybody else
// the server only warns, which nobody would hear.
func scrubStatistics(ctx context.Context, conn *sql.Conn) error {
	var may bool
	err := conn.QueryRowContext(ctx, `SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()`).Scan(&may)
	if err != nil {
		return err
	}
	if !may {
		return errNotOwner
	}
	if err := nobodyOlder(ctx, conn); err != nil { // than the statistics of now
		return err
	}
	for _, catalog := range []string{"pg_statistic", "pg_statistic_ext_data"} {
		if _, vacuumed := conn.ExecContext(ctx, "VACUUM (FULL) pg_catalog."+catalog); vacuumed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", catalog, vacuumed))
		}
	}
	return err
}

// errNotOwner is why statistics stay.
var errNotOwner = errors.New("statistics of the tables may hold what was deleted, and only the owner of the database may clean them: " +
	"make this account its owner, or have the owner run VACUUM (FULL) pg_statistic")

// nobodyOlder refuses as long as a transaction is open that began before now, as far as
// this account can see: it may still see what was deleted, so that would be kept.
func nobodyOlder(ctx context.Context, conn *sql.Conn) error {
	var now string
	if err := conn.QueryRowContext(ctx, `SELECT pg_current_xact_id()::xid::text`).Scan(&now); err != nil {
		return err
	}
	var older int
	err := conn.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND age(backend_xmin) > age($1::text::xid)`, now).Scan(&older)
	if err == nil && older > 0 {
		err = fmt.Errorf("%w: %d transactions may still see what was deleted", store.ErrUnavailable, older)
	}
	return err
}

// tables are those that the definition made.
func (v *view) tables(ctx context.Context, conn *sql.Conn) (names []string, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'm') AND NOT c.relname = ANY ($2) ORDER BY c.relname`, v.schema.name, ourTables)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
