package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

// Any SQL client finds the live model under the view's own name, documents and
// tables alike, though columns come, change and go.
func TestNameStandsForAModel(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	client := connect(t, url)
	if err := s.Name(t.Context(), totals); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("name of a model that is not there: %v", err)
	}
	documents := pgx.Identifier{ns + "_" + totals.View, "documents"}.Sanitize()
	for build := range 3 {
		m := projector.Model{View: totals.View, Version: totals.Version, Build: build}
		v := viewOf(t, s, projector.Layout{Model: m})
		write(t, v, projector.Checkpoint{Worker: "0"}, projector.Document{Key: "a", Position: 7, Document: fmt.Appendf(nil, `{"n":%d}`, build)})
		name(t, s, m)
		if got := asked(t, client, `SELECT document->>'n' FROM `+documents+` WHERE key = 'a' AND position = 7`); got != fmt.Sprint(build) {
			t.Errorf("the name stands for build %s, want %d", got, build)
		}
		if build > 0 {
			continue
		}
		if _, err := client.Exec(t.Context(), `CREATE VIEW public.`+pgx.Identifier{ns}.Sanitize()+` AS SELECT count(*)::text AS n FROM `+documents); err != nil {
			t.Fatal(err)
		}
	}
	if got := asked(t, client, `SELECT n FROM public.`+pgx.Identifier{ns}.Sanitize()); got != "1" {
		t.Errorf("a view made from the name counts %s", got)
	}
	if err := s.Drop(t.Context(), projector.Model{View: totals.View, Version: totals.Version}); err != nil {
		t.Fatal(err)
	}
	if got := asked(t, client, `SELECT document->>'n' FROM `+documents); got != "2" {
		t.Errorf("after an old model was dropped the name stands for build %s", got)
	}
}

func TestNameOfTables(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	client := connect(t, url)
	schema := ns + "_" + totals.View
	for build, tables := range [][]string{
		{`CREATE TABLE staff (name text, n int)`, `CREATE TABLE gone (n int)`, `INSERT INTO staff VALUES ('a', 1)`},
		{`CREATE TABLE staff (name text, n int, grade int)`, `INSERT INTO staff VALUES ('a', 2, 9)`},
		{`CREATE TABLE staff (n bigint)`, `INSERT INTO staff VALUES (3)`, `CREATE VIEW ranks AS SELECT n FROM staff`},
	} {
		m := projector.Model{View: totals.View, Version: build + 1}
		v := viewOf(t, s, projector.Layout{Model: m, Tables: tables})
		c := projector.Checkpoint{Worker: "0", Position: 1}
		if _, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Apply: func(context.Context, *sql.Tx) error { return nil }}); err != nil {
			t.Fatal(err)
		}
		name(t, s, m)
		if got := asked(t, client, `SELECT n::text FROM `+pgx.Identifier{schema, "staff"}.Sanitize()); got != fmt.Sprint(build+1) {
			t.Errorf("the name stands for version %s, want %d", got, build+1)
		}
		want := []string{"gone staff", "staff", "ranks staff"}[build]
		if got := asked(t, client, `SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = '`+schema+`'::regnamespace AND relkind = 'v'`); got != want {
			t.Errorf("version %d has %q under its name, want %q", build+1, got, want)
		}
	}
}

// What others made from the view's name is not taken away with an old model: the model
// stays while the name stands for it.
func TestDropLeavesWhatWasMadeFromTheName(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	client := connect(t, url)
	models := make([]projector.Model, 2)
	for i, table := range []string{`CREATE TABLE staff (name text, n int)`, `CREATE TABLE staff (n bigint)`} {
		models[i] = projector.Model{View: totals.View, Version: i + 1}
		viewOf(t, s, projector.Layout{Model: models[i], Tables: []string{table}})
	}
	name(t, s, models[0])
	made := `public.` + pgx.Identifier{ns}.Sanitize()
	if _, err := client.Exec(t.Context(), `CREATE VIEW `+made+` AS SELECT name FROM `+pgx.Identifier{ns + "_" + totals.View, "staff"}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	if err := s.Name(t.Context(), models[1]); err == nil {
		t.Fatal("a name from which a view is made was dropped")
	}
	if err := s.Drop(t.Context(), models[0]); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), ns+"_"+totals.View+".staff") {
		t.Errorf("drop of a model for which a name stands: %v", err)
	}
	if got := asked(t, client, `SELECT count(name)::text FROM `+made); got != "0" {
		t.Errorf("the view made from the name counts %s", got)
	}
	if _, err := client.Exec(t.Context(), `DROP VIEW `+made); err != nil {
		t.Fatal(err)
	}
	name(t, s, models[1])
	if err := s.Drop(t.Context(), models[0]); err != nil {
		t.Errorf("drop of a model that has no name any more: %v", err)
	}
}

func TestNameLeavesOtherSchemasAlone(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	viewOf(t, s, projector.Layout{Model: totals})
	client := connect(t, url)
	if _, err := client.Exec(t.Context(), `CREATE SCHEMA `+pgx.Identifier{ns + "_" + totals.View}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	if err := s.Name(t.Context(), totals); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("name where another schema is: %v", err)
	}
}

// name names a model, twice, as it is done again and again.
func name(t *testing.T, s *postgres.Store, m projector.Model) {
	t.Helper()
	for range 2 {
		if err := s.Name(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func asked(t *testing.T, client *pgx.Conn, query string) (answer string) {
	t.Helper()
	if err := client.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// A view that is built again in place keeps what others made from its name: the model
// before goes when the name has gone on.
func TestRebuildInPlaceKeepsWhatWasMadeFromTheName(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	log := store.NewMemory(store.MemoryConfig{})
	view := tallies("steps", func(store.Recorded[event]) string { return "all" })
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: openWith(t, postgres.Config{URL: url, Namespace: ns}), Projections: []projector.Definition{view}, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, g)
	client := connect(t, url)
	comment := `SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = '` + ns + `_steps' UNION ALL SELECT '' LIMIT 1`
	named := func(model string) {
		t.Helper()
		waitFor(t, func() bool { return strings.Contains(asked(t, client, comment), " "+model+" ") })
	}
	named("steps_v1")
	made := `public.` + pgx.Identifier{ns}.Sanitize()
	if _, err := client.Exec(t.Context(), `CREATE VIEW `+made+` AS SELECT count(*)::text AS n FROM `+pgx.Identifier{ns + "_steps", "documents"}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	built, err := g.Rebuild(t.Context(), "steps", projector.Rebuild{})
	if err != nil {
		t.Fatal(err)
	}
	named(built.String())
	waitFor(t, func() bool {
		return asked(t, client, `SELECT count(*)::text FROM pg_namespace WHERE nspname = '`+ns+`_steps_v1'`) == "0"
	})
	if got := asked(t, client, `SELECT n FROM `+made); got != "0" {
		t.Errorf("the view made from the name counts %s", got)
	}
}
