package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

// A name that has to be made anew, because columns change, or is replaced, because they
// are added, keeps what an operator gave to it, and his own SQL views beside it.
func TestNameKeepsWhatOperatorsDid(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	client := connect(t, url)
	models := make([]projector.Model, 3)
	for i, table := range []string{
		`CREATE TABLE staff (name text, n int)`, `CREATE TABLE staff (name text, n int, grade int)`, `CREATE TABLE staff (n bigint, "a%b" text, grade int)`,
	} {
		models[i] = projector.Model{View: totals.View, Version: i + 1}
		viewOf(t, s, projector.Layout{Model: models[i], Tables: []string{table}})
	}
	name(t, s, models[0])
	schema := pgx.Identifier{ns + "_" + totals.View}.Sanitize()
	reader, clerk := pgx.Identifier{ns + `_"reader%s`}.Sanitize(), pgx.Identifier{ns + "_clerk"}.Sanitize()
	do := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := client.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	do(`CREATE ROLE `+reader, `CREATE ROLE `+clerk,
		`GRANT SELECT ON `+schema+`.staff TO `+reader+` WITH GRANT OPTION`,
		`GRANT SELECT (name), UPDATE (n) ON `+schema+`.staff TO `+clerk, `GRANT REFERENCES ON `+schema+`.staff TO PUBLIC`,
		`ALTER VIEW `+schema+`.staff SET (security_barrier = true)`,
		`COMMENT ON VIEW `+schema+`.staff IS 'who''s who'`,
		`CREATE VIEW `+schema+`.mine AS SELECT 1 AS one`)
	t.Cleanup(func() { // roles are the server's, not the database's
		do(`DROP VIEW `+schema+`.staff`, `DROP OWNED BY `+reader+`, `+clerk, `DROP ROLE `+reader+`, `+clerk)
	})
	for i, want := range []string{
		"name n", "name n grade", "n a%b grade",
	} {
		name(t, s, models[i])
		if got := asked(t, client, `SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '`+schema+`.staff'::regclass AND attnum > 0`); got != want {
			t.Fatalf("version %d has the columns %s, want %s", i+1, got, want)
		}
		has := func(what, condition string) {
			t.Helper()
			if asked(t, client, `SELECT (`+condition+`)::text`) != "true" {
				t.Errorf("version %d: %s is lost", i+1, what)
			}
		}
		literal := func(identifier string) string {
			return `(SELECT rolname FROM pg_roles WHERE quote_ident(rolname) = '` + identifier + `')`
		}
		has("the right to read", `has_table_privilege(`+literal(reader)+`, '`+schema+`.staff', 'SELECT WITH GRANT OPTION')`)
		has("everybody's right", `EXISTS (SELECT FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = '`+schema+`.staff'::regclass AND grantee = 0 AND privilege_type = 'REFERENCES')`)
		has("the right to a column", `has_column_privilege('`+ns+`_clerk', '`+schema+`.staff', 'n', 'UPDATE')`)
		has("the option", `'security_barrier=true' = ANY((SELECT reloptions FROM pg_class WHERE oid = '`+schema+`.staff'::regclass)::text[])`)
		has("the comment", `obj_description('`+schema+`.staff'::regclass) = 'who''s who'`)
		has("the operator's own view", `(SELECT one FROM `+schema+`.mine) = 1`)
	}
	if got := asked(t, client, `SELECT count(*)::text FROM pg_attribute, aclexplode(attacl) WHERE attrelid = '`+schema+`.staff'::regclass`); got != "1" {
		t.Errorf("%s rights to columns, want the one to the column that is still there", got)
	}
}

// A switch that would take away what others made is refused by name, and leaves
// everything as it is.
func TestNameRefusesToTakeAway(t *testing.T) {
	t.Parallel()
	url, ns := server.Shared(t).URL(), namespace()
	s := openWith(t, postgres.Config{URL: url, Namespace: ns})
	client := connect(t, url)
	var models []projector.Model
	for i, tables := range [][]string{
		{`CREATE TABLE staff (name text, n int)`, `CREATE TABLE gone (n int)`},
		{`CREATE TABLE staff (n bigint)`, `CREATE TABLE gone (n int)`},
		{`CREATE TABLE staff (name text, n int)`},
		{`CREATE TABLE staff (name text, n int)`, `CREATE TABLE gone (n int)`, `CREATE TABLE mine (n int)`},
	} {
		models = append(models, projector.Model{View: totals.View, Version: i + 1})
		viewOf(t, s, projector.Layout{Model: models[i], Tables: tables})
	}
	name(t, s, models[0])
	schema := ns + "_" + totals.View
	for _, made := range []struct{ name, column, of string }{{"_a", "name", "staff"}, {"_b", "n", "gone"}} {
		from := ` AS SELECT ` + made.column + ` FROM ` + pgx.Identifier{schema, made.of}.Sanitize()
		if _, err := client.Exec(t.Context(), `CREATE VIEW `+pgx.Identifier{"public", ns + made.name}.Sanitize()+from); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Exec(t.Context(), `CREATE VIEW `+pgx.Identifier{schema, "mine"}.Sanitize()+` AS SELECT 7 AS n`); err != nil {
		t.Fatal(err)
	}
	before := asked(t, client, `SELECT obj_description('`+pgx.Identifier{schema}.Sanitize()+`'::regnamespace)`)
	for i, want := range []postgres.NameError{
		{Name: schema + ".staff", By: "public." + ns + "_a"},
		{Name: schema + ".gone", By: "public." + ns + "_b"},
		{Name: schema + ".mine"},
	} {
		err := s.Name(t.Context(), models[i+1])
		got, typed := errors.AsType[*postgres.NameError](err)
		if !typed || *got != want || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("version %d: %v, want %+v", i+2, err, want)
		}
	}
	if after := asked(t, client, `SELECT obj_description('`+pgx.Identifier{schema}.Sanitize()+`'::regnamespace)`); after != before {
		t.Errorf("after refusals the names are %q, before %q", after, before)
	}
	if got := asked(t, client, `SELECT n::text FROM `+pgx.Identifier{schema, "mine"}.Sanitize()); got != "7" {
		t.Errorf("the operator's view says %s", got)
	}
}
