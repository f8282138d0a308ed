package projectortest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// tableCases are those of SQL views. Their statements are such as every SQL
// database takes.
var tableCases = []testCase{
	{"a store without tables refuses them", tablesRefused},
	{"tables are made once", tablesOnce},
	{"tables that cannot be made leave nothing", badTables},
	{"tables change with documents, notes and checkpoint", tablesWithCheckpoint},
	{"an error of Apply stores nothing", applyFails},
	{"a fenced commit changes no tables", fencedTables},
	{"a commit that is refused changes no tables", refusedTables},
	{"a query sees the commits that it is to see", querySince},
	{"a query sees one instant", queryInstant},
	{"a query cannot write", queryReads},
	{"an error of a query comes back", queryFails},
	{"workers may change one row", sharedRow},
	{"builds have tables of their own", tablesApart},
	{"a model is dropped with its tables", tablesDropped},
}

// tableLayout asks for a table of numbers by key.
var tableLayout = projector.Layout{Model: theModel, Tables: tableStatements}

var tableStatements = []string{
	`CREATE TABLE numbers (k VARCHAR(100) PRIMARY KEY, n BIGINT NOT NULL)`,
	`CREATE INDEX numbers_n ON numbers (n)`,
	`INSERT INTO numbers (k, n) VALUES ('first', 1)`,
}

func openTables(t *testing.T, s projector.Store) projector.Querier {
	t.Helper()
	return openTablesOf(t, s, theModel)
}

func openTablesOf(t *testing.T, s projector.Store, model projector.Model) projector.Querier {
	t.Helper()
	v, ok := openAs(t, s, projector.Layout{Model: model, Tables: tableStatements}).(projector.Querier)
	if !ok {
		t.Fatal("the view with tables is no projector.Querier")
	}
	return v
}

func needTables(t *testing.T, h Harness) {
	t.Helper()
	if !h.Tables {
		t.Skip("SKIPPED, NOT PASSED: the harness says that the store keeps no tables")
	}
}

// put is an Apply that sets a number.
func put(key string, n int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM numbers WHERE k = '%s'`, key)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO numbers (k, n) VALUES ('%s', %d)`, key, n))
		return err
	}
}

// add is an Apply that adds to a number that is there.
func add(key string, n int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`UPDATE numbers SET n = n + %d WHERE k = '%s'`, n, key))
		return err
	}
}

// numbers reads the table.
func numbers(t *testing.T, v projector.Querier, since ...projector.Checkpoint) map[string]int {
	t.Helper()
	found, err := numbersOf(within(t), v, since...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func numbersOf(ctx context.Context, v projector.Querier, since ...projector.Checkpoint) (found map[string]int, err error) {
	err = v.Query(ctx, func(tx *sql.Tx) error {
		found = map[string]int{}
		rows, err := tx.QueryContext(ctx, `SELECT k, n FROM numbers`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var k string
			var n int
			if err := rows.Scan(&k, &n); err != nil {
				return err
			}
			found[k] = n
		}
		return rows.Err()
	}, since...)
	return found, err
}

func wantNumbers(t *testing.T, v projector.Querier, want map[string]int, since ...projector.Checkpoint) {
	t.Helper()
	if diff := cmp.Diff(want, numbers(t, v, since...)); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

func tablesRefused(t *testing.T, h Harness) {
	if h.Tables {
		t.Skip("SKIPPED, NOT PASSED: the harness says that the store keeps tables")
	}
	s := h.Open(t)
	if _, err := s.Open(within(t), tableLayout); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("open: %v, want ErrInvalid", err)
	}
	v := open(t, s)
	w := projector.Write{Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Apply: put("a", 1)}
	if _, err := v.Commit(within(t), w); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("commit: %v, want ErrInvalid", err)
	}
	if c := load(t, v); c.Revision != 0 || len(get(t, v, c, "a")) != 0 {
		t.Errorf("something was stored: %+v", c)
	}
}

func tablesOnce(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v := openTables(t, s)
	wantNumbers(t, v, map[string]int{"first": 1})
	c := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: put("a", 2)})
	again := openTables(t, s)
	wantNumbers(t, again, map[string]int{"first": 1, "a": 2}, c)
	if diff := cmp.Diff(c, load(t, again)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

func badTables(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	bad := projector.Layout{Model: theModel, Tables: append(tableStatements[:2:2], `CREATE NONSENSE`)}
	if _, err := s.Open(within(t), bad); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("open: %v, want an error that does not go away by itself", err)
	}
	wantNumbers(t, openTables(t, s), map[string]int{"first": 1})
}

func tablesWithCheckpoint(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	c := write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Notes: []projector.Note{note("a", 1)}, Apply: put("a", 1),
	})
	wantNumbers(t, v, map[string]int{"first": 1, "a": 1}, c)
	c = write(t, v, projector.Write{Checkpoint: moved(c), Apply: add("a", 10)})
	wantNumbers(t, v, map[string]int{"first": 1, "a": 11}, c)
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	if got := valueOf(t, get(t, v, c, "a")["a"]); got != 1 {
		t.Errorf("document is %d", got)
	}
	if diff := cmp.Diff([]projector.Note{note("a", 1)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// errApply is what an Apply of the cases fails with.
var errApply = errors.New("apply fails")

func applyFails(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	c := write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Notes: []projector.Note{note("a", 1)}, Apply: put("a", 1),
	})
	w := projector.Write{Checkpoint: moved(c), Documents: []projector.Document{doc("a", 2, 2)}, Notes: []projector.Note{note("a", 2)}}
	w.Apply = func(ctx context.Context, tx *sql.Tx) error {
		if err := put("a", 2)(ctx, tx); err != nil {
			return err
		}
		return fmt.Errorf("in the end: %w", errApply)
	}
	if _, err := v.Commit(within(t), w); !errors.Is(err, errApply) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("commit: %v, want errApply and nothing of the store", err)
	}
	w.Apply = func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE nowhere SET n = 1`)
		return errors.Join(errApply, err)
	}
	if _, err := v.Commit(within(t), w); !errors.Is(err, errApply) {
		t.Errorf("commit: %v, want errApply", err)
	}
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	wantNumbers(t, v, map[string]int{"first": 1, "a": 1}, c)
	if got := valueOf(t, get(t, v, c, "a")["a"]); got != 1 {
		t.Errorf("document is %d", got)
	}
	if diff := cmp.Diff([]projector.Note{note("a", 1)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	w.Apply = put("a", 3)
	write(t, v, w) // and the next goes on
}

func fencedTables(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v, zombie := openTables(t, s), openTables(t, s)
	stale := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: put("a", 1)})
	last := write(t, v, projector.Write{Checkpoint: moved(stale), Apply: put("a", 2)})
	if _, err := zombie.Commit(within(t), projector.Write{Checkpoint: moved(stale), Apply: put("a", 9)}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	// What the other wrote may make the zombie's own statements fail; it is fenced all the same.
	failing := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO numbers (k, n) VALUES ('a', 9)`)
		return err
	}
	if _, err := zombie.Commit(within(t), projector.Write{Checkpoint: moved(stale), Apply: failing}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit of what fails: %v, want ErrFenced", err)
	}
	wantNumbers(t, v, map[string]int{"first": 1, "a": 2}, last)
}

func refusedTables(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	c := load(t, v)
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Documents: many(v.MaxChanges()+1, 1), Apply: put("a", 1)}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("commit: %v, want ErrTooLarge", err)
	}
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Documents: []projector.Document{doc("", 1, 1)}, Apply: put("a", 1)}); err == nil {
		t.Error("a document without key was stored")
	}
	wantNumbers(t, v, map[string]int{"first": 1})
}

func querySince(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v, reader := openTables(t, s), openTables(t, s)
	all := []projector.Checkpoint{load(t, v), loadOf(t, v, "1")}
	for i := range 60 {
		w := i % len(all)
		all[w] = write(t, v, projector.Write{Checkpoint: moved(all[w]), Apply: put("a", i)})
		if got := numbers(t, reader, all...)["a"]; got != i {
			t.Fatalf("after commit %d the number is %d", i, got)
		}
	}
}

func queryInstant(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v, reader := openTables(t, s), openTables(t, s)
	both := func(n int) func(context.Context, *sql.Tx) error {
		return func(ctx context.Context, tx *sql.Tx) error {
			return errors.Join(put("a", n)(ctx, tx), put("b", n)(ctx, tx))
		}
	}
	c := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: both(0)})
	since := c
	ctx, stop := context.WithCancel(within(t))
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				found, err := numbersOf(ctx, reader, since)
				if ctx.Err() != nil {
					return
				}
				if err != nil || found["a"] != found["b"] || len(found) != 3 {
					t.Errorf("a query saw %v, %v", found, err)
					return
				}
			}
		})
	}
	for i := 1; i <= 100; i++ {
		c = write(t, v, projector.Write{Checkpoint: moved(c), Apply: both(i)})
	}
	stop()
	readers.Wait()
	wantNumbers(t, v, map[string]int{"first": 1, "a": 100, "b": 100}, c)
}

func queryReads(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	c := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: put("a", 1)})
	for _, statement := range []string{`UPDATE numbers SET n = 9`, `DELETE FROM numbers`, `DROP TABLE numbers`, `CREATE TABLE others (k BIGINT)`} {
		err := v.Query(within(t), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(within(t), statement)
			return err
		}, c)
		if err == nil {
			t.Errorf("a query could %s", statement)
		}
	}
	wantNumbers(t, v, map[string]int{"first": 1, "a": 1}, c)
	write(t, v, projector.Write{Checkpoint: moved(c), Apply: put("a", 2)})
}

func queryFails(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	if err := v.Query(within(t), func(*sql.Tx) error { return errApply }); !errors.Is(err, errApply) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("query: %v, want errApply and nothing of the store", err)
	}
	err := v.Query(within(t), func(tx *sql.Tx) error {
		_, err := tx.QueryContext(within(t), `SELECT n FROM nowhere`)
		return err
	})
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("query of no table: %v", err)
	}
	wantNumbers(t, v, map[string]int{"first": 1})
}

// sharedRow has workers add to one row: each addition counts once, whatever the
// store has to repeat.
func sharedRow(t *testing.T, h Harness) {
	needTables(t, h)
	v := openTables(t, h.Open(t))
	const workers, commits = 3, 20
	var all sync.WaitGroup
	for w := range workers {
		c := loadOf(t, v, fmt.Sprint(w))
		all.Go(func() {
			for i := range commits {
				next, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Apply: add("first", 1)})
				if err != nil {
					t.Errorf("worker %d, commit %d: %v", w, i, err)
					return
				}
				c = next
			}
		})
	}
	all.Wait()
	wantNumbers(t, v, map[string]int{"first": 1 + workers*commits}, load(t, v), loadOf(t, v, "1"), loadOf(t, v, "2"))
}

func tablesApart(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v := openTables(t, s)
	c := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: put("a", 1)})
	for _, other := range otherModels {
		w := openTablesOf(t, s, other)
		wantNumbers(t, w, map[string]int{"first": 1})
		write(t, w, projector.Write{Checkpoint: moved(load(t, w)), Apply: put("b", 2)})
		wantNumbers(t, w, map[string]int{"first": 1, "b": 2}, load(t, w))
	}
	wantNumbers(t, v, map[string]int{"first": 1, "a": 1}, c)
}

func tablesDropped(t *testing.T, h Harness) {
	needTables(t, h)
	s := h.Open(t)
	v, other := openTables(t, s), openTablesOf(t, s, otherModels[1])
	c := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Apply: put("a", 1)})
	drop(t, s, theModel)
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Apply: put("a", 2)}); err == nil {
		t.Error("a commit to a dropped model was stored")
	}
	wantNumbers(t, openTables(t, s), map[string]int{"first": 1})
	wantNumbers(t, other, map[string]int{"first": 1})
}
