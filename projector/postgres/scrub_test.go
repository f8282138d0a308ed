package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
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
	c := change(projector.Checkpoint{Worker: "0"}, `INSERT INTO "odd name" SELECT $1 || n FROM generate_series(1, 100) n`, marker)
	c = change(c, `DELETE FROM "odd name" WHERE who <> $1`, marker+"7")
	conn := connect(t, url)
	count := func() int {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "CHECKPOINT"); err != nil {
			t.Fatal(err)
		}
		var file []byte
		err := conn.QueryRow(t.Context(), `SELECT pg_read_binary_file(pg_relation_filepath($1))`, cfg+`_totals_v2."odd name"`).Scan(&file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(file), marker)
	}
	if n := count(); n < 50 {
		t.Errorf("the file has the marker %d times before", n)
	}
	if err := v.(projector.Scrubber).Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("the file has the marker %d times, want once, for the row that stays", n)
	}
	change(c, `INSERT INTO "odd name" VALUES ('more')`)
}
