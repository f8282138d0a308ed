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
	if err := scrub(t.Context(), false); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with a reader that may still see the rows: %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for err := scrub(ctx, false); err != nil; err = scrub(ctx, true) { // others have transactions, too
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

// scrubs is a view with a table, and how often that was written anew.
type scrubs struct {
	projector.Scrubber
	last  func() int
	table string
}

func scrubsOf(t *testing.T, url string) *scrubs {
	t.Helper()
	cfg := namespace()
	v := viewOf(t, openWith(t, postgres.Config{URL: url, Namespace: cfg}), projector.Layout{Model: totals, Tables: []string{`CREATE TABLE people (who text)`}})
	s := &scrubs{Scrubber: v.(projector.Scrubber), table: cfg + "_totals_v2.people"}
	conn := connect(t, url)
	s.last = func() (file int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), `SELECT pg_relation_filenode($1)::int8`, s.table).Scan(&file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return s
}

// wants scrubs and says whether the table is to be written anew by that.
func (s *scrubs) wants(t *testing.T, goesOn bool, want error, anew bool) {
	t.Helper()
	before := s.last()
	err := s.Scrub(t.Context(), goesOn)
	if !errors.Is(err, want) || (s.last() != before) != anew {
		t.Errorf("scrub, goes on %t: %v, want %v; written anew: %t, want %t", goesOn, err, want, s.last() != before, anew)
	}
}

// Who does not own the database is told so, and that it need not be tried again; nothing
// is written anew while somebody may still see what was deleted.
func TestScrubWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	url := server.Own(t, "autovacuum=off").URL() // where nobody else has transactions
	owner := connect(t, url)
	mustExec(t, owner, `CREATE ROLE guest LOGIN`)
	mustExec(t, owner, `GRANT CREATE ON DATABASE postgres TO guest`)
	others := url + "&user=guest"
	s := scrubsOf(t, others)
	held := begin(t, others, pgx.RepeatableRead, "SELECT count(*) FROM pg_class")
	mustExec(t, owner, "INSERT INTO "+s.table+" VALUES (0); DELETE FROM "+s.table)
	s.wants(t, false, store.ErrUnavailable, false)
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(t, true, projector.ErrRemains, true)
	s.wants(t, true, projector.ErrRemains, false)
	s.wants(t, false, projector.ErrRemains, true)
}

// Where it is the statistics that have to wait, the tables are not written anew again.
func TestScrubGoesOnWithStatistics(t *testing.T) {
	t.Parallel()
	url := server.Own(t, "autovacuum=off").URL()
	s := scrubsOf(t, url)
	reader := begin(t, url, pgx.ReadCommitted, "LOCK TABLE pg_statistic IN ACCESS SHARE MODE")
	s.wants(t, false, store.ErrUnavailable, true)
	s.wants(t, true, store.ErrUnavailable, false)
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(t, true, nil, false)
}

// begin returns a transaction that has done something.
func begin(t *testing.T, url string, level pgx.TxIsoLevel, statement string) pgx.Tx {
	t.Helper()
	tx, err := connect(t, url).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	return tx
}
