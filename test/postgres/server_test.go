package postgres_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/annals-go/annals/test/postgres"
	"github.com/annals-go/annals/test/ram"
)

func TestMain(m *testing.M) {
	ram.Use()
	goleak.VerifyTestMain(postgres.Tests(m))
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func query(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// What was committed is there after a crash, what was not is not, and nobody
// has to be told another address.
func TestServerComesBack(t *testing.T) {
	t.Parallel()
	s := postgres.Own(t)
	conn := connect(t, s.URL())
	if got := query(t, conn, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE a (n int); INSERT INTO a VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO a VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), s.URL()); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if got := query(t, connect(t, s.URL()), "SELECT sum(n)::text FROM a"); got != "1" {
		t.Errorf("after a crash the sum is %s", got)
	}
	if err := errors.Join(s.Stop(), s.Start()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, connect(t, s.URL()), "SELECT sum(n)::text FROM a"); got != "1" {
		t.Errorf("after a stop the sum is %s", got)
	}
}

func TestServerTakesSettings(t *testing.T) {
	t.Parallel()
	if got := query(t, connect(t, postgres.Own(t, "work_mem=7MB").URL()), "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem is %s", got)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	s := postgres.Shared(t)
	for range 2 {
		url, err := s.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connect(t, url).Exec(t.Context(), "CREATE TABLE same (n int)"); err != nil {
			t.Error(err)
		}
	}
	url, err := s.Database(t.Context(), "ENCODING 'LATIN1'", "LC_COLLATE 'C'", "LC_CTYPE 'C'")
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, connect(t, url), "SHOW server_encoding"); got != "LATIN1" {
		t.Errorf("the encoding is %s", got)
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Find(); err != nil {
		postgres.Shared(t) // skips
	}
	s, err := postgres.Start("no_such_setting=1")
	if err == nil {
		t.Error("it started", s.Close())
	}
}

// A machine with nothing but a client has no server.
func TestFindWantsAServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/psql", []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if found, err := postgres.Find(); err == nil && found == dir {
		t.Errorf("found %s", found)
	}
}
