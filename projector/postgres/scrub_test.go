package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

// What was deleted is in the table's file until the view is scrubbed, and then is not.
func TestScrubWritesTablesAnew(t *testing.T) {
	t.Parallel()
	url := server.Shared(t).URL()
	cfg := namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: cfg})
	const marker = "MARKER-of-a-row"
	v := viewOf(t, s, projector.Layout{Model: totals, Tables: []string{`CREATE TABLE "odd name" (who text)`}})
	change := func(c projector.Checkpoint, statement string, args ...any) projector.Checkpoint {
		t.Helper()
		c.Position++
		c, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Apply: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement, args...)
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := change(projector.Checkpoint{Worker: "0"}, `INSERT INTO "odd name" SELECT $1 || n FROM generate_series(1, 60) n`, marker)
	conn := connect(t, url)
	table := cfg + `_totals_v2."odd name"`
	mustExec(t, conn, "ANALYZE "+table)
	c = change(c, `DELETE FROM "odd name" WHERE who <> $1`, marker+"7")
	count := func(relation string) int {
		t.Helper()
		mustExec(t, conn, "CHECKPOINT")
		var file []byte
		if err := conn.QueryRow(t.Context(), `SELECT pg_read_binary_file(pg_relation_filepath($1))`, relation).Scan(&file); err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(file), marker)
	}
	if n := count(table); n < 50 {
		t.Errorf("the file has the marker %d times before", n)
	}
	if n := count("pg_statistic"); n < 50 {
		t.Errorf("the statistics have the marker %d times before", n)
	}
	reader, err := connect(t, url).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT count(*) FROM pg_class"); err != nil {
		t.Fatal(err)
	}
	scrub := v.(projector.Scrubber).Scrub
	if err := scrub(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with a reader that may still see the rows: %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for err := scrub(ctx); err != nil; err = scrub(ctx) { // others have transactions, too
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if n := count(table); n != 1 {
		t.Errorf("the file has the marker %d times, want once, for the row that stays", n)
	}
	if n := count("pg_statistic"); n > 1 {
		t.Errorf("the statistics have the marker %d times, want at most once, for the row that stays", n)
	}
	change(c, `INSERT INTO "odd name" VALUES ('more')`)
}
