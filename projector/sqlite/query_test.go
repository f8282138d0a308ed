package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// planOf is how SQLite will find what a query asks for.
func planOf(t *testing.T, v projector.Querier, query string) (plan string) {
	t.Helper()
	err := v.Query(within(t), func(tx *sql.Tx) error {
		rows, err := tx.Query(`EXPLAIN QUERY PLAN ` + query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			plan += detail + "\n"
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestIndexesAreUsed(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	v := openView(t, s, projector.Layout{Indexes: []string{"who.name"}})
	c := load(t, v)
	for i := range 100 {
		c = commit(t, v, c, doc(fmt.Sprintf("key-%d", i), c.Position+1, i))
	}
	const byName, byNumber = `SELECT key FROM documents WHERE json_extract(document, '$.who.name') = 'n-42'`, `SELECT key FROM documents WHERE json_extract(document, '$.n') > 97`
	if plan := planOf(t, v, byName); !strings.Contains(plan, "USING INDEX documents_by_who.name") {
		t.Errorf("the plan is %s", plan)
	}
	if plan := planOf(t, v, byNumber); !strings.Contains(plan, "SCAN documents") {
		t.Errorf("without an index, the plan is %s", plan)
	}
	v = openView(t, s, projector.Layout{Indexes: []string{"n"}}) // more, on what is there
	if plan := planOf(t, v, byNumber); !strings.Contains(plan, "USING INDEX documents_by_n") {
		t.Errorf("the plan is %s", plan)
	}
	for query, want := range map[string]string{byName: "key-42", byNumber: "key-98"} {
		var key string
		if err := v.Query(within(t), func(tx *sql.Tx) error { return tx.QueryRow(query).Scan(&key) }, c); err != nil || key != want {
			t.Errorf("found %q, %v, want %s", key, err, want)
		}
	}
}

// The package's own reads are look-ups, however large a model is.
func TestReadsAreLookUps(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{})
	for query, want := range map[string]string{
		`SELECT document FROM documents WHERE key IN (SELECT value FROM json_each('["a","b"]'))`: "SEARCH documents USING INDEX sqlite_autoindex_documents_1 (key=?)",
		`SELECT document FROM documents WHERE revision > 7 ORDER BY revision LIMIT 3`:            "SEARCH documents USING INDEX documents_by_revision (revision>?)",
		`SELECT note FROM annals_notes WHERE worker = '0' ORDER BY key`:                          "SEARCH annals_notes USING PRIMARY KEY (worker=?)",
		`SELECT checkpoint FROM annals_checkpoints WHERE worker = '0'`:                           "SEARCH annals_checkpoints USING INDEX sqlite_autoindex_annals_checkpoints_1 (worker=?)",
	} {
		if plan := planOf(t, v, query); !strings.Contains(plan, want) || strings.Contains(plan, "TEMP B-TREE FOR ORDER") {
			t.Errorf("%s: the plan is %s", query, plan)
		}
	}
}

// Statements that are kept do what they did at first: with other arguments, after
// an error, after the tables have changed, and when there are very many of them.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{Tables: tables})
	c := load(t, v)
	const insert = `INSERT INTO steps (n) VALUES (?)`
	apply := func(what func(tx *sql.Tx) error) error {
		next, err := v.Commit(within(t), projector.Write{Checkpoint: c, Apply: func(_ context.Context, tx *sql.Tx) error { return what(tx) }})
		if err == nil {
			c = next
		}
		return err
	}
	run := func(tx *sql.Tx, text string, args ...any) error {
		_, err := tx.ExecContext(within(t), text, args...)
		return err
	}
	for i := range 3 {
		if err := apply(func(tx *sql.Tx) error { return run(tx, insert, i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := apply(func(tx *sql.Tx) error { return run(tx, insert, 1) }); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a row that is there: %v, want an error of the statement", err)
	}
	if err := apply(func(tx *sql.Tx) error {
		return errors.Join(run(tx, insert, 3), run(tx, `INSERT INTO nowhere VALUES (1)`))
	}); err == nil {
		t.Error("a table that is not there was changed")
	}
	if err := apply(func(tx *sql.Tx) error { return run(tx, `ALTER TABLE steps ADD COLUMN more TEXT DEFAULT 'x'`) }); err != nil {
		t.Fatal(err)
	}
	err := apply(func(tx *sql.Tx) error {
		var errs []error
		for i := range 500 {
			errs = append(errs, run(tx, insert, 1000+i), run(tx, fmt.Sprintf("update\tsteps SET more = 'y-%d' WHERE n = ?", i), 1000+i))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	var rows, changed int
	err = v.Query(within(t), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT count(*), sum(more = 'y-' || (n - 1000)) FROM steps`).Scan(&rows, &changed)
	}, c)
	if err != nil || rows != 503 || changed != 500 {
		t.Errorf("%d rows, %d of them changed, %v", rows, changed, err)
	}
}

// An Apply that ends the transaction itself, against its contract, stores its
// commit whole or not at all.
func TestApplyThatEndsTheTransaction(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{Tables: tables})
	c := load(t, v)
	write := func(position store.Position, apply func(context.Context, *sql.Tx) error) (projector.Checkpoint, error) {
		w := projector.Write{Checkpoint: c, Documents: []projector.Document{doc("a", position, int(position))}, Apply: apply}
		w.Checkpoint.Position = position
		return v.Commit(within(t), w)
	}
	next, err := write(1, func(_ context.Context, tx *sql.Tx) error { return tx.Commit() })
	if err != nil || next.Revision == 0 || next.Revision != load(t, v).Revision {
		t.Errorf("committed by Apply: %+v, %v, stored is %+v", next, err, load(t, v))
	}
	c = next
	if _, err := write(2, func(_ context.Context, tx *sql.Tx) error { return tx.Rollback() }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("rolled back by Apply: %v, want ErrUnavailable", err)
	}
	if got := load(t, v); got.Revision != c.Revision {
		t.Errorf("the checkpoint is %+v, want %+v", got, c)
	}
}

// The time is over when Apply is done. Nothing is stored, and that is known.
func TestATimeThatIsOver(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{Tables: tables})
	for _, fail := range []bool{true, false} {
		ctx, cancel := context.WithCancel(within(t))
		_, err := v.Commit(ctx, projector.Write{Checkpoint: load(t, v), Apply: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO steps VALUES (1)`)
			cancel()
			if fail {
				_, err = tx.ExecContext(ctx, `INSERT INTO steps VALUES (2)`)
			}
			return err
		}})
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("commit: %v, want ErrUnavailable", err)
		}
		var steps int
		if err := v.Query(within(t), func(tx *sql.Tx) error { return tx.QueryRow(`SELECT count(*) FROM steps`).Scan(&steps) }); err != nil || steps != 0 {
			t.Errorf("%d rows are stored, %v", steps, err)
		}
	}
}

// A database that has no room: the commit is not there, and its author is told
// to look. When there is room again, the view goes on.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	v := openView(t, openStore(t, t.TempDir()), projector.Layout{Tables: tables})
	limit := func(pages int) func(context.Context, *sql.Tx) error {
		return func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
			return err
		}
	}
	c, err := v.Commit(within(t), projector.Write{Checkpoint: load(t, v), Apply: limit(1)}) // as few as there are
	if err != nil {
		t.Fatal(err)
	}
	large := projector.Document{Key: "large", Position: 1, Document: fmt.Appendf(nil, "%q", strings.Repeat("x", 1<<20))}
	for range 3 {
		if _, err := v.Commit(within(t), projector.Write{Checkpoint: c, Documents: []projector.Document{large}}); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("commit: %v, want ErrUnknown", err)
		}
	}
	if got := load(t, v); got.Revision != c.Revision {
		t.Errorf("the checkpoint is %+v, want %+v", got, c)
	}
	if c, err = v.Commit(within(t), projector.Write{Checkpoint: c, Apply: limit(1 << 20)}); err != nil {
		t.Fatal(err)
	}
	commit(t, v, c, large)
}
