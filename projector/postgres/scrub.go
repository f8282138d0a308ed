package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var _ projector.Scrubber = (*view)(nil)

// ourTables are those that every model has. What is personal in them is sealed.
var ourTables = []string{"meta", "checkpoints", "documents", "notes"}

// scrubbed is what the scrubbing since the last notice has come to.
type scrubbed struct {
	after  string // transaction after those that deleted; empty if it is not known yet
	tables map[string]bool
	gather string // likewise, of the one that gathered the statistics of the tables
}

// Scrub implements [projector.Scrubber]. The tables that the definition made are
// written anew (VACUUM FULL): an ordinary VACUUM gives the room of rows that are gone
// back, and leaves their bytes in it until others come. Nobody reads or writes a table while
// that goes on, and it takes the table's room a second time, so none is begun before
// nobody can see what was deleted, and each is done once. Then the server's statistics,
// which hold samples of the values, and were made again of the rows that stay, are written
// anew; an account that may not do that is answered [projector.ErrRemains].
// What is in the server's log of changes (WAL), on its replicas and in backups stays until
// these are recycled.
func (v *view) Scrub(ctx context.Context, goesOn bool) error {
	if !goesOn {
		v.scrubbed = scrubbed{tables: map[string]bool{}}
	}
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _ = conn.Close() }()
	tables, err := v.tables(ctx, conn)
	if err != nil || len(tables) == 0 {
		return v.failed("scrub", err)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", lockWait.Milliseconds())); err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "RESET lock_timeout") }()
	if err := v.scrubTables(ctx, conn, tables); err != nil {
		return v.failed("scrub", err)
	}
	return v.failed("scrub", v.scrubStatistics(ctx, conn))
}

// scrubTables writes those of the tables anew that were not since the last notice.
func (v *view) scrubTables(ctx context.Context, conn *sql.Conn, tables []string) error {
	left := slices.DeleteFunc(tables, func(table string) bool { return v.scrubbed.tables[table] })
	if len(left) == 0 {
		return nil
	}
	if err := nobodyOlder(ctx, conn, &v.scrubbed.after); err != nil {
		return err
	}
	var err error
	for _, table := range left {
		if _, vacuumed := conn.ExecContext(ctx, "VACUUM (FULL, ANALYZE) "+v.schema.of(table)); vacuumed != nil {
			err = errors.Join(err, fmt.Errorf("table %s: %w", table, vacuumed))
			continue
		}
		v.scrubbed.tables[table] = true
	}
	return err
}

// scrubStatistics writes the catalogs anew that hold values of columns: the most frequent
// ones, and bounds of a histogram. The owner of the database may do that; for anybody else
// the server only warns, which nobody would hear.
func (v *view) scrubStatistics(ctx context.Context, conn *sql.Conn) error {
	var may bool
	err := conn.QueryRowContext(ctx, `SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()`).Scan(&may)
	if err != nil {
		return err
	}
	if !may {
		return errNotOwner
	}
	if err := nobodyOlder(ctx, conn, &v.scrubbed.gather); err != nil {
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
var errNotOwner = fmt.Errorf("%w: statistics of the tables may hold what was deleted, and only the owner of the database may clean them: "+
	"make this account its owner, or have the owner run VACUUM (FULL) pg_statistic and VACUUM (FULL) pg_statistic_ext_data", projector.ErrRemains)

// nobodyOlder refuses as long as a transaction is open that began before the one that
// since names, as far as this account can see: it may still see what was deleted, so that
// would be kept. One that writes in another database holds up what snapshots here see, too. The first time, since becomes that of now: later ones ask about the same, or
// on a busy server there would always be another one.
func nobodyOlder(ctx context.Context, conn *sql.Conn, since *string) error {
	if *since == "" {
		if err := conn.QueryRowContext(ctx, `SELECT pg_current_xact_id()::text`).Scan(since); err != nil {
			return err
		}
	}
	var older bool
	err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()
		AND (datname = current_database() AND age(backend_xmin) > age($1::text::xid8::xid) OR age(backend_xid) > age($1::text::xid8::xid)))`, *since).Scan(&older)
	if err == nil && older {
		err = fmt.Errorf("%w: a transaction is open that may still see what was deleted", store.ErrUnavailable)
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
