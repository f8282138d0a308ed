package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// view is one model. It keeps the tables of an SQL view, if it was made with any.
type view struct {
	*file
	name string
}

var (
	_ projector.Querier  = (*view)(nil)
	_ projector.Scrubber = (*view)(nil)
)

// maxChanges is a little more than one event may touch. A larger commit saves
// nothing: a sync costs less than writing the pages of so many documents.
const maxChanges = projector.MaxKeys + 1000

// MaxChanges implements [projector.View].
func (v *view) MaxChanges() int { return maxChanges }

// Torn implements [projector.View]: SQLite takes back a transaction of which the
// end is not in the log.
func (v *view) Torn() bool { return false }

// failed names the view in an error.
func (v *view) failed(doing string, err error) error {
	return failed("view "+v.name+": "+doing, err)
}

// snapshot calls read with a transaction that cannot write and that sees the model
// at one instant, not before the commits that made since. All that is committed is
// seen by whoever begins after it, so a model that is behind them is another one.
func (v *view) snapshot(ctx context.Context, since []projector.Checkpoint, read func(ctx context.Context, tx *sql.Tx) error) error {
	if err := v.current(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.ReadTimeout)
	defer cancel()
	tx, err := v.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var dropped bool
	var has uint64
	if err := tx.StmtContext(ctx, v.reach).QueryRowContext(ctx).Scan(&dropped, &has); err != nil {
		return err
	}
	if dropped {
		return errGone
	}
	for _, c := range since {
		if has < c.Revision {
			return fmt.Errorf("the file has revision %d, and not yet %d: %w", has, c.Revision, store.ErrUnavailable)
		}
	}
	return read(ctx, tx)
}

// Load implements [projector.View].
func (v *view) Load(ctx context.Context, worker string) (c projector.Checkpoint, err error) {
	err = v.snapshot(ctx, nil, func(ctx context.Context, tx *sql.Tx) error {
		c = projector.Checkpoint{Worker: worker}
		var data []byte
		switch err := tx.StmtContext(ctx, v.load).QueryRowContext(ctx, worker).Scan(&c.Revision, &data); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("checkpoint of worker %s: %w: %w", worker, store.ErrDamaged, err)
		}
		return nil
	})
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	return c, nil
}

// Get implements [projector.View].
func (v *view) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) (docs []projector.Document, err error) {
	list, err := listOf(keys)
	if err != nil {
		return nil, v.failed("get documents", err)
	}
	err = v.snapshot(ctx, since, func(ctx context.Context, tx *sql.Tx) (err error) {
		docs, _, err = documents(tx.StmtContext(ctx, v.get).QueryContext(ctx, list))
		return err
	})
	if err != nil {
		return nil, v.failed("get documents", err)
	}
	return docs, nil
}

// listOf makes one parameter of any number of keys.
func listOf(keys []string) (string, error) {
	if len(keys) > maxChanges {
		return "", &store.TooLargeError{What: "number of keys", Size: len(keys), Limit: maxChanges}
	}
	for _, key := range keys {
		if _, err := store.EncodeToken(key); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(keys)
	return string(list), err
}

// documents reads rows, and returns the last one's revision, too.
func documents(rows *sql.Rows, err error) (docs []projector.Document, last uint64, _ error) {
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d projector.Document
		if err := rows.Scan(&d.Key, &d.Position, &last, (*[]byte)(&d.Document)); err != nil {
			return nil, 0, err
		}
		docs = append(docs, d)
	}
	return docs, last, rows.Err()
}

// List implements [projector.View]. The cursor is the revision of the last
// document that was returned.
func (v *view) List(ctx context.Context, cursor string, limit int, since ...projector.Checkpoint) (docs []projector.Document, next string, err error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	err = v.snapshot(ctx, since, func(ctx context.Context, tx *sql.Tx) error {
		var last uint64
		docs, last, err = documents(tx.StmtContext(ctx, v.list).QueryContext(ctx, int64(after), limit))
		if len(docs) == limit {
			next = strconv.FormatUint(last, 10)
		}
		return err
	})
	if err != nil {
		return nil, "", v.failed("list documents", err)
	}
	return docs, next, nil
}

func parseCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
	}
	return after, nil
}

// Notes implements [projector.View].
func (v *view) Notes(ctx context.Context, worker string) (notes []projector.Note, err error) {
	err = v.snapshot(ctx, nil, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.StmtContext(ctx, v.notes).QueryContext(ctx, worker)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var n projector.Note
			if err := rows.Scan(&n.Key, (*[]byte)(&n.Value)); err != nil {
				return err
			}
			notes = append(notes, n)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, v.failed("read notes", err)
	}
	return notes, nil
}

// Query implements [projector.Querier]. Documents can be asked, too:
//
//	SELECT key FROM documents WHERE json_extract(document, '$.state') = 'open'
//
// uses the index of the member state, in these words.
func (v *view) Query(ctx context.Context, read func(tx *sql.Tx) error, since ...projector.Checkpoint) error {
	var theirs error
	err := v.snapshot(ctx, since, func(ctx context.Context, tx *sql.Tx) error {
		if theirs = read(tx); theirs != nil {
			theirs = failedIn("view "+v.name+": query", ctx.Err(), theirs)
		}
		return nil
	})
	if err != nil {
		return v.failed("query", err)
	}
	return theirs
}
