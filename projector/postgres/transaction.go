package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The waits of a server for a client that holds locks: one that was paused in
// the middle of a commit must not hold up its heir for long.
const (
	idleWait = 5 * time.Second
	lockWait = 5 * time.Second
)

// transaction is one that an SQL view can use, on a connection that takes what
// database/sql has no words for.
type transaction struct {
	conn *sql.Conn
	tx   *sql.Tx
}

func (v *view) begin(ctx context.Context, opts *sql.TxOptions) (*transaction, error) {
	conn, err := v.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, opts)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &transaction{conn: conn, tx: tx}, nil
}

// end gives the connection back, and undoes what was not committed.
func (t *transaction) end() {
	_ = t.tx.Rollback()
	_ = t.conn.Close()
}

// raw sends a batch within the transaction, and reads its answers. A
// transaction that is over already, because its time is or because an Apply
// ended it, is refused: what follows would be stored by itself.
func (t *transaction) raw(ctx context.Context, batch *pgx.Batch) error {
	return t.conn.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		if conn.IsClosed() {
			return fmt.Errorf("%w: the connection is closed", store.ErrUnavailable)
		}
		if conn.PgConn().TxStatus() != inTransaction {
			return errors.Join(ctx.Err(), errAborted)
		}
		return conn.SendBatch(ctx, batch).Close()
	})
}

// inTransaction is what the server says of a transaction that has not failed.
const inTransaction = 'T'

// fence moves the worker's checkpoint, if it is the expected one, and returns
// its new revision. Whoever comes later waits for this row.
func (t *transaction) fence(ctx context.Context, v *view, c projector.Checkpoint, data string) (revision int64, err error) {
	query, args := v.sql.fence, []any{v.id, c.Worker, int64(c.Position), data, int64(c.Revision)}
	if c.Revision == 0 {
		query, args = v.sql.first, args[:4]
	}
	found := false
	batch := &pgx.Batch{}
	batch.Queue(settings, v.settings()...)
	batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			found = true
			if err := rows.Scan(&revision); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	err = t.raw(ctx, batch)
	if missing(err) || err == nil && !found {
		return 0, fmt.Errorf("checkpoint of worker %s is not at revision %d any more: %w", c.Worker, c.Revision, projector.ErrFenced)
	}
	return revision, err
}

// settings are what the statement of that name takes.
func (v *view) settings() []any {
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return []any{v.schema.path(), milliseconds(v.timeout), milliseconds(lockWait), milliseconds(idleWait)}
}

// call lets the application use the transaction, and tells its errors from
// those of the connection.
func (t *transaction) call(ctx context.Context, use func() error) error {
	err := use()
	if err == nil {
		return nil
	}
	if t.lost() {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return handlers(ctx, err)
}

// lost reports whether the connection is not there any more.
func (t *transaction) lost() bool {
	closed := false
	err := t.conn.Raw(func(driver any) error {
		closed = driver.(*stdlib.Conn).Conn().IsClosed()
		return nil
	})
	return closed || err != nil
}

// write stores documents and notes. It comes after Apply, whose settings do not
// outlast it, and always says at least that the commit is to be durable.
func (t *transaction) write(ctx context.Context, v *view, w projector.Write, p prepared, revision int64) error {
	batch := &pgx.Batch{}
	if w.Apply != nil {
		batch.Queue(durably)
	}
	p.queue(batch, v, w.Checkpoint.Worker, revision-(slots-1))
	if batch.Len() == 0 {
		return nil
	}
	return t.raw(ctx, batch)
}
