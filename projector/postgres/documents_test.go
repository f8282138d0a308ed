package postgres_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

// Whatever encoding/json writes comes back as the same value, and what it
// does not write itself, in a json.RawMessage, too.
func TestDocumentsComeBackAsTheSameValue(t *testing.T) {
	t.Parallel()
	v := viewOf(t, open(t, server.Shared(t).URL()), projector.Layout{Model: totals})
	documents := []string{
		`null`, `true`, `0`, `-0.0`, `1.50`, `1e3`, `1E-7`, `12345678901234567890`, `1.7976931348623157e+308`, `""`, `[]`, `{}`,
		`{"bb":1,"a":{"z":1,"y":[null,{"x":"a b"}]}}`,
		`"with \"quotes\", \\ and a space \\\" , \": \" "`, `{"a \" b":"\\", "c\\":" "}`,
		`"a\u0000b"`, `{"\u0000":"\u0000","b":["\u0000"]}`, `"\\u0000"`, `"\ud800"`, `"\ud83d\ude00"`, `"\uDC00\u0000"`,
		`"é\u00e9\u2028\u003c"`, "\"\xff\xfe\"", "{\"\xc3\":\"\xe2\x82\"}", `"tab\tnewline\n"`,
		strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200),
	}
	var docs []projector.Document
	for i, d := range documents {
		docs = append(docs, projector.Document{Key: fmt.Sprint(i), Position: 1, Document: json.RawMessage(d)})
	}
	write(t, v, projector.Checkpoint{Worker: "0"}, docs...)
	found, _, err := v.List(t.Context(), "", projector.MaxPage)
	if err != nil || len(found) != len(docs) {
		t.Fatalf("%d documents, %v", len(found), err)
	}
	for i, d := range found {
		if !reflect.DeepEqual(valueOf(t, docs[i].Document), valueOf(t, d.Document)) {
			t.Errorf("%s came back as %s", docs[i].Document, d.Document)
		}
		if strings.Contains(documents[i], `\u0000`) && string(d.Document) != documents[i] {
			t.Errorf("%s, which jsonb does not hold, came back as %s", documents[i], d.Document)
		}
	}
}

func valueOf(t *testing.T, document []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(document, &value); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return value
}

// What jsonb does not hold can be searched for all the same, but for the
// characters that stand in the way.
func TestDocumentsThatJSONBDoesNotHoldAreSearched(t *testing.T) {
	t.Parallel()
	v := viewOf(t, open(t, server.Shared(t).URL()), projector.Layout{Model: totals, Indexes: []string{"name"}})
	write(t, v, projector.Checkpoint{Worker: "0"}, doc("a", `{"name":"x","text":"a\u0000b"}`), doc("b", `{"name":"y"}`))
	err := v.Query(t.Context(), func(tx *sql.Tx) error {
		var key, text string
		err := tx.QueryRowContext(t.Context(), `SELECT key, document ->> 'text' FROM documents WHERE document #>> '{name}' = 'x'`).Scan(&key, &text)
		if key != "a" || text != "a\uFFFDb" {
			t.Errorf("found %q, %q", key, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A document that can never be stored is named.
func TestRefusedDocumentsAreNamed(t *testing.T) {
	t.Parallel()
	v := viewOf(t, open(t, server.Shared(t).URL()), projector.Layout{Model: totals, Indexes: []string{"long"}})
	c := write(t, v, projector.Checkpoint{Worker: "0"}, doc("good", `1`))
	for name, refused := range map[string]struct {
		document string
		want     error
	}{
		"no JSON":                 {`{"a":`, store.ErrInvalid},
		"no JSON, with zero":      {`{"a\u0000":`, store.ErrInvalid},
		"a number without bounds": {`1e999999`, store.ErrInvalid},
		"over the limit":          {`"` + strings.Repeat("x", 64<<20) + `"`, store.ErrTooLarge},
	} {
		_, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: []projector.Document{doc("good", `2`), doc("the bad one", refused.document)}})
		wantError(t, name, err, refused.want)
		if err == nil || !strings.Contains(err.Error(), "the bad one") {
			t.Errorf("%s: %v does not name the document", name, err)
		}
	}
	incompressible := make([]string, 3000)
	for i := range incompressible {
		incompressible[i] = fmt.Sprint(i * i * 7919)
	}
	_, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: []projector.Document{doc("a", `{"long":"`+strings.Join(incompressible, "")+`"}`)}})
	wantError(t, "an indexed member that is too long", err, store.ErrTooLarge)
	if docs, err := v.Get(t.Context(), []string{"good", "the bad one", "a"}); err != nil || len(docs) != 1 || string(docs[0].Document) != `1` {
		t.Errorf("documents are %v, %v", docs, err)
	}
	write(t, v, c, doc("good", `3`))
}

// An index of the layout answers a query for that member.
func TestIndexIsUsed(t *testing.T) {
	t.Parallel()
	url := server.Shared(t).URL()
	s := open(t, url)
	layout := projector.Layout{Model: totals, Indexes: []string{"offers.sent", `o'dd "na\me"`, "offers_sent"}}
	v := viewOf(t, s, layout)
	var docs []projector.Document
	for i := range 5000 {
		docs = append(docs, doc(fmt.Sprint(i), fmt.Sprintf(`{"offers":{"sent":%d},"o'dd \"na\\me\"":"v%d"}`, i, i)))
	}
	write(t, v, projector.Checkpoint{Worker: "0"}, docs...)
	if _, err := connect(t, url).Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{
		`document #>> '{offers,sent}' = '42'`, `document #>> ARRAY['offers', 'sent'] IN ('1', '2')`, `document #>> ARRAY['o''dd "na\me"'] = 'v42'`,
	} {
		if plan := explain(t, v, `SELECT key FROM documents WHERE `+where); !strings.Contains(plan, "documents_by_") {
			t.Errorf("%s is not answered by an index:\n%s", where, plan)
		}
	}
	layout.Indexes = append(layout.Indexes, "state")
	v = viewOf(t, s, layout) // another index later, on what is there
	if plan := explain(t, v, `SELECT key FROM documents WHERE document #>> '{state}' = 'x'`); !strings.Contains(plan, "state") {
		t.Errorf("a new index is not used:\n%s", plan)
	}
	for _, bad := range []string{"", "a..b", ".", "a\x00"} {
		_, err := s.Open(t.Context(), projector.Layout{Model: totals, Indexes: []string{bad}})
		wantError(t, fmt.Sprintf("index %q", bad), err, store.ErrInvalid)
	}
}

func explain(t *testing.T, v projector.Querier, query string) string {
	t.Helper()
	var plan []string
	err := v.Query(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `EXPLAIN `+query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			plan = append(plan, line)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}

// An SQL view keeps tables of its own: no name has to be qualified, in Apply or
// in a query, and no build knows another's.
func TestTablesOfAView(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	layout := projector.Layout{Model: totals, Tables: []string{
		`CREATE TABLE employees (name text PRIMARY KEY, sum bigint NOT NULL)`,
		`CREATE FUNCTION double(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * n'`,
	}}
	v := viewOf(t, s, layout)
	c := projector.Checkpoint{Worker: "0"}
	for i := range 10 {
		c.Position++
		var err error
		c, err = v.Commit(t.Context(), projector.Write{Checkpoint: c, Apply: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO employees VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sum = employees.sum + excluded.sum`,
				fmt.Sprint("e-", i%3), i)
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	sums := map[string]int{}
	err := v.Query(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT name, double(sum) FROM employees`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var sum int
			if err := rows.Scan(&name, &sum); err != nil {
				return err
			}
			sums[name] = sum
		}
		return rows.Err()
	}, c)
	if diff := cmp.Diff(map[string]int{"e-0": 36, "e-1": 24, "e-2": 30}, sums); err != nil || diff != "" {
		t.Errorf("sums: %v (-want +got):\n%s", err, diff)
	}
	layout.Tables = layout.Tables[:1]
	_, err = s.Open(t.Context(), layout)
	wantError(t, "open with other tables", err, store.ErrInvalid)
	layout.Build, layout.Tables = 1, []string{`CREATE TABLE documents (n int)`}
	_, err = s.Open(t.Context(), layout)
	wantError(t, "open with a table that every model has", err, store.ErrInvalid)
}

// Names that the server would cut off stay apart.
func TestLongNamesStayApart(t *testing.T) {
	t.Parallel()
	s := openWith(t, postgres.Config{URL: server.Shared(t).URL(), Namespace: namespace() + strings.Repeat("n", 40)})
	for i := range 3 {
		v := viewOf(t, s, projector.Layout{Model: projector.Model{View: strings.Repeat("v", 40), Version: 9999, Build: i}})
		c, err := v.Load(t.Context(), "0")
		if err != nil || c.Revision != 0 {
			t.Fatalf("build %d is not empty: %+v, %v", i, c, err)
		}
		write(t, v, c)
	}
}

// A note is what a view knows of an event that it could not read: anything may
// be in it.
func TestNotesHoldAnything(t *testing.T) {
	t.Parallel()
	v := viewOf(t, open(t, server.Shared(t).URL()), projector.Layout{Model: totals})
	values := map[string]string{`"a\u0000b"`: `"a\u0000b"`, `"\ud800"`: `"\ud800"`, `{"b": 1,"a":1e3}`: `{"b": 1,"a":1e3}`, "\"a\xffb\"": "\"a\uFFFDb\""}
	c := projector.Checkpoint{Worker: "0"}
	for written, want := range values {
		var err error
		if c, err = v.Commit(t.Context(), projector.Write{Checkpoint: c, Notes: []projector.Note{{Key: "n", Value: json.RawMessage(written)}}}); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if notes, err := v.Notes(t.Context(), "0"); err != nil || len(notes) != 1 || string(notes[0].Value) != want {
			t.Errorf("%s became %s, %v", written, notes, err)
		}
	}
}
