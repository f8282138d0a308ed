package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/annals-go/annals/projector"
)

var _ projector.Scrubber = (*view)(nil)

// ourTables are those that every model has. What is personal in them is sealed.
var ourTables = []string{"meta", "checkpoints", "documents", "notes"}

// Scrub implements [projector.Scrubber]. The tables that the definition made are
// written anew (VACUUM FULL): an ordinary VACUUM gives the room of rows that are gone
// back, and leaves their bytes in it until others come. Nobody reads or writes a table while
// that goes on, and it takes the table's room a second time. What is in the server's log of
// changes (WAL), on its replicas and in backups stays until these are recycled.
func (v *view) Scrub(ctx context.Context) error {
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _ = conn.Close() }()
	tables, err := v.tables(ctx, conn)
	if err != nil {
		return v.failed("scrub", err)
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET lock_timeout = %d", lockWait.Milliseconds())); err != nil {
		return v.failed("scrub", err)
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "RESET lock_timeout") }()
	for _, table := range tables {
		if _, vacuumed := conn.ExecContext(ctx, "VACUUM (FULL) "+v.schema.of(table)); vacuumed != nil {
			err = errors.Join(err, fmt.Errorf("table %s: %w", table, vacuumed))
		}
	}
	return v.failed("scrub", err)
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
