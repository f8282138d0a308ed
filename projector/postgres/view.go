package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// view is one model.
type view struct {
	name    string
	id      string // of the schema, as it was opened
	schema  schema
	db      *sql.DB
	timeout time.Duration
	sql     texts

	scrubbed scrubbed // for Scrub alone
}

func newView(s *Store, db *sql.DB, model projector.Model) *view {
	c := schemaOf(s.cfg.Namespace, model)
	return &view{name: model.View, schema: c, db: db, timeout: s.cfg.Timeout, sql: textsOf(c)}
}

// maxChanges holds the documents of any single event, and notes beside them.
const maxChanges = projector.MaxKeys + 2000

// MaxChanges implements [projector.View].
func (v *view) MaxChanges() int { return maxChanges }

// Torn implements [projector.View]: a transaction is whole.
func (v *view) Torn() bool { return false }

// Load implements [projector.View].
func (v *view) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	var data string
	var revision int64
	err := v.db.QueryRowContext(ctx, v.sql.load, worker).Scan(&data, &revision)
	if errors.Is(err, sql.ErrNoRows) {
		return projector.Checkpoint{Worker: worker}, nil
	}
	if err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", err)
	}
	var c projector.Checkpoint
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		return projector.Checkpoint{}, v.failed("load checkpoint", fmt.Errorf("%w: %w", store.ErrDamaged, err))
	}
	c.Revision = uint64(revision)
	return c, nil
}

// Get implements [projector.View]. One statement sees one instant, and that is
// after whatever was committed before.
func (v *view) Get(ctx context.Context, keys []string, _ ...projector.Checkpoint) ([]projector.Document, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	docs, _, err := v.documents(ctx, v.sql.get, keys)
	return docs, v.failed("get documents", err)
}

// List implements [projector.View]. The cursor is a revision.
func (v *view) List(ctx context.Context, cursor string, limit int, _ ...projector.Checkpoint) ([]projector.Document, string, error) {
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	docs, revisions, err := v.documents(ctx, v.sql.list, after, limit+1)
	if err != nil {
		return nil, "", v.failed("list documents", err)
	}
	if len(docs) <= limit {
		return docs, "", nil
	}
	return docs[:limit], strconv.FormatInt(revisions[limit-1], 10), nil
}

func parseCursor(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 63)
	if err != nil {
		return 0, &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
	}
	return int64(after), nil
}

// documents reads documents and their revisions.
func (v *view) documents(ctx context.Context, query string, args ...any) ([]projector.Document, []int64, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	rows, err := v.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var docs []projector.Document
	var revisions []int64
	for rows.Next() {
		var d projector.Document
		var position, revision int64
		var exact []byte
		if err := rows.Scan(&d.Key, &position, &revision, (*[]byte)(&d.Document), &exact); err != nil {
			return nil, nil, err
		}
		if d.Document = compact(d.Document); exact != nil {
			d.Document = exact
		}
		d.Position = store.Position(position)
		docs, revisions = append(docs, d), append(revisions, revision)
	}
	return docs, revisions, rows.Err()
}

// Notes implements [projector.View].
func (v *view) Notes(ctx context.Context, worker string) ([]projector.Note, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	rows, err := v.db.QueryContext(ctx, v.sql.notes, worker)
	if err != nil {
		return nil, v.failed("read notes", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var notes []projector.Note
	for rows.Next() {
		var n projector.Note
		if err := rows.Scan(&n.Key, (*[]byte)(&n.Value)); err != nil {
			return nil, v.failed("read notes", err)
		}
		notes = append(notes, n)
	}
	return notes, v.failed("read notes", rows.Err())
}

// Query implements [projector.Querier]. Unqualified names are those of the
// model's schema: the tables of an SQL view, and the table documents.
func (v *view) Query(ctx context.Context, read func(tx *sql.Tx) error, _ ...projector.Checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	t, err := v.begin(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return v.failed("query", err)
	}
	defer t.end() // it changed nothing
	if _, err := t.tx.ExecContext(ctx, settings, v.settings()...); err != nil {
		return v.failed("query", err)
	}
	return v.failed("query", t.call(ctx, func() error { return read(t.tx) }))
}

func (v *view) failed(doing string, err error) error { return failed(doing+" of view "+v.name, err) }
