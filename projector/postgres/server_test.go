package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	shared := server.Shared(t)
	latin, err := shared.Database(t.Context(), "ENCODING 'LATIN1'", "LC_COLLATE 'C'", "LC_CTYPE 'C'")
	if err != nil {
		t.Fatal(err)
	}
	foreign := namespace()
	if _, err := connect(t, shared.URL()).Exec(t.Context(), `CREATE SCHEMA "`+foreign+`_totals_v2"`); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  postgres.Config
		view string
	}{
		"no URL":                    {postgres.Config{Namespace: "app"}, "totals"},
		"a URL that is none":        {postgres.Config{URL: "postgres://a:secret@[", Namespace: "app"}, "totals"},
		"no namespace":              {postgres.Config{URL: shared.URL()}, "totals"},
		"bad namespace":             {postgres.Config{URL: shared.URL(), Namespace: "a.b"}, "totals"},
		"bad view":                  {postgres.Config{URL: shared.URL(), Namespace: "app"}, `a"b`},
		"negative connections":      {postgres.Config{URL: shared.URL(), Namespace: "app", Connections: -1}, "totals"},
		"negative timeout":          {postgres.Config{URL: shared.URL(), Namespace: "app", Timeout: -1}, "totals"},
		"another encoding":          {postgres.Config{URL: latin, Namespace: "app"}, "totals"},
		"a schema of somebody else": {postgres.Config{URL: shared.URL(), Namespace: foreign}, "totals"},
	} {
		s := openWith(t, c.cfg)
		model := projector.Model{View: c.view, Version: 2}
		_, err := s.Open(t.Context(), projector.Layout{Model: model})
		wantError(t, name, err, store.ErrInvalid)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
		if name == "a schema of somebody else" {
			wantError(t, "drop of "+name, s.Drop(t.Context(), model), store.ErrInvalid)
		}
	}
}

// A server that does not sync its disk keeps nothing, whatever it answers.
func TestServerThatLies(t *testing.T) {
	t.Parallel()
	own := server.Own(t, "fsync=off")
	_, err := open(t, own.URL()).Open(t.Context(), projector.Layout{Model: totals})
	wantError(t, "open", err, store.ErrInvalid)
	v := viewOf(t, openWith(t, postgres.Config{URL: own.URL(), Namespace: namespace(), Unsynced: true}), projector.Layout{Model: totals})
	write(t, v, projector.Checkpoint{Worker: "0"})
}

// A server that answers before the disk does is told to wait, each time.
func TestCommitsWaitForTheDisk(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{"off": "on", "local": "local", "on": "on"} {
		url := server.Shared(t).URL() + "&synchronous_commit=" + setting
		v := viewOf(t, open(t, url), projector.Layout{Model: totals, Tables: []string{`CREATE TABLE seen (setting text)`}})
		_, err := v.Commit(t.Context(), projector.Write{Checkpoint: projector.Checkpoint{Worker: "0"}, Apply: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO seen VALUES (current_setting('synchronous_commit'))`)
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = v.Query(t.Context(), func(tx *sql.Tx) error {
			var got string
			err := tx.QueryRowContext(t.Context(), `SELECT setting FROM seen`).Scan(&got)
			if got != want {
				t.Errorf("with the setting %s a commit runs with %q", setting, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutServer(t *testing.T) {
	t.Parallel()
	own := server.Own(t)
	s := open(t, own.URL())
	v := viewOf(t, s, projector.Layout{Model: totals})
	c := write(t, v, projector.Checkpoint{Worker: "0"})
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := s.Open(ctx, projector.Layout{Model: totals})
	wantError(t, "open", err, store.ErrUnavailable)
	_, err = v.Load(ctx, "0")
	wantError(t, "load", err, store.ErrUnavailable)
	_, err = v.Get(ctx, []string{"a"})
	wantError(t, "get", err, store.ErrUnavailable)
	_, _, err = v.List(ctx, "", 10)
	wantError(t, "list", err, store.ErrUnavailable)
	_, err = v.Notes(ctx, "0")
	wantError(t, "notes", err, store.ErrUnavailable)
	wantError(t, "query", v.Query(ctx, func(*sql.Tx) error { return nil }), store.ErrUnavailable)
	_, err = v.Commit(ctx, projector.Write{Checkpoint: c})
	wantError(t, "commit", err, store.ErrUnavailable)
	wantError(t, "drop", s.Drop(ctx, totals), store.ErrUnavailable)
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	write(t, v, c)
}

// A replica takes no writes; a server of several is one today and is none
// tomorrow.
func TestServerThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	url, err := server.Shared(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := postgres.Config{URL: url, Namespace: namespace()}
	v := viewOf(t, openWith(t, cfg), projector.Layout{Model: totals})
	c := write(t, v, projector.Checkpoint{Worker: "0"}, doc("a", `1`))
	cfg.URL += "&default_transaction_read_only=on"
	v = viewOf(t, openWith(t, cfg), projector.Layout{Model: totals})
	if docs, err := v.Get(t.Context(), []string{"a"}, c); err != nil || len(docs) != 1 {
		t.Errorf("get: %v, %v", docs, err)
	}
	_, err = v.Commit(t.Context(), projector.Write{Checkpoint: c})
	wantError(t, "commit", err, store.ErrUnavailable)
}

// What the server says stands in the way is named, and what may go well the next
// time is tried again within the commit.
func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	url := server.Shared(t).URL()
	for code, c := range map[string]struct {
		times int // how often it comes
		want  error
	}{
		"40001": {3, nil},
		"40P01": {3, nil},
		"55P03": {100, store.ErrUnavailable},
		"53100": {100, store.ErrUnknown}, // no room on the disk
		"XX001": {100, store.ErrDamaged},
		"42501": {100, store.ErrUnavailable},
		"23514": {100, store.ErrInvalid},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			cfg := postgres.Config{URL: url, Namespace: namespace()}
			v := viewOf(t, openWith(t, cfg), projector.Layout{Model: totals})
			before := write(t, v, projector.Checkpoint{Worker: "0"}, doc("a", `1`))
			trigger := fmt.Sprintf(`SET search_path = %[1]s_totals_v2; CREATE SEQUENCE failures;
				CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					IF nextval('%[1]s_totals_v2.failures') <= %[2]d THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '%[3]s'; END IF; RETURN NEW; END $$;
				CREATE TRIGGER fail BEFORE INSERT ON documents FOR EACH ROW EXECUTE FUNCTION fail()`, cfg.Namespace, c.times, code)
			if _, err := connect(t, url).Exec(t.Context(), trigger); err != nil {
				t.Fatal(err)
			}
			after, err := v.Commit(t.Context(), projector.Write{Checkpoint: before, Documents: []projector.Document{doc("a", `2`)}})
			want := `2`
			if c.want != nil {
				wantError(t, "commit", err, c.want)
				after, want = before, `1`
			} else if err != nil {
				t.Fatal(err)
			}
			if got, err := v.Load(t.Context(), "0"); err != nil || got.Revision != after.Revision {
				t.Errorf("checkpoint is %+v, %v, want %+v", got, err, after)
			}
			if docs, err := v.Get(t.Context(), []string{"a"}); err != nil || string(docs[0].Document) != want {
				t.Errorf("documents are %v, %v", docs, err)
			}
		})
	}
}

// A query whose connection is taken away is the store's to name, not its caller's.
func TestQueryLosesItsConnection(t *testing.T) {
	t.Parallel()
	v := viewOf(t, open(t, server.Shared(t).URL()), projector.Layout{Model: totals})
	err := v.Query(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
		_, again := tx.ExecContext(t.Context(), `SELECT 1`)
		return errors.Join(err, again)
	})
	wantError(t, "query", err, store.ErrUnavailable)
	write(t, v, projector.Checkpoint{Worker: "0"})
}
