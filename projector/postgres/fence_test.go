package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/postgres"
	"github.com/annals-go/annals/store"
	server "github.com/annals-go/annals/test/postgres"
)

// What is made under the name of a dropped model is another one: a writer of
// the dropped one is refused, though both begin from nothing.
func TestDroppedModelIsNotItsSuccessor(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	layout := projector.Layout{Model: totals}
	old := viewOf(t, s, layout)
	if err := s.Drop(t.Context(), totals); err != nil {
		t.Fatal(err)
	}
	none := projector.Checkpoint{Worker: "0"}
	_, err := old.Commit(t.Context(), projector.Write{Checkpoint: none})
	wantError(t, "commit to what was dropped", err, projector.ErrFenced)
	_, err = old.Get(t.Context(), []string{"a"})
	wantError(t, "read of what was dropped", err, store.ErrUnavailable)

	v := viewOf(t, s, layout)
	_, err = old.Commit(t.Context(), projector.Write{Checkpoint: none, Documents: []projector.Document{doc("a", `1`)}})
	wantError(t, "commit to its successor", err, projector.ErrFenced)
	write(t, v, none, doc("a", `2`))
}

// A writer that holds the checkpoint's row in the middle of a commit, because
// its process was paused there, holds up its heir for a moment only.
func TestPausedWriterIsPutOut(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	v := viewOf(t, s, projector.Layout{Model: totals, Tables: []string{`CREATE TABLE sums (n bigint)`}})
	c := write(t, v, projector.Checkpoint{Worker: "0"})
	inside, goOn, paused := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	entered := false
	go func() {
		_, err := v.Commit(context.Background(), projector.Write{Checkpoint: c, Apply: func(ctx context.Context, tx *sql.Tx) error {
			if !entered {
				entered = true
				close(inside)
				<-goOn
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO sums VALUES (1)`)
			return err
		}})
		paused <- err
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heir, err := v.Commit(ctx, projector.Write{Checkpoint: c})
	if err != nil {
		t.Fatal(err)
	}
	close(goOn)
	wantError(t, "commit of the paused one", <-paused, projector.ErrFenced)
	if got, err := v.Load(t.Context(), "0"); err != nil || got.Revision != heir.Revision {
		t.Errorf("checkpoint is %+v, %v, want %+v", got, err, heir)
	}
}

func TestApplyHasToLeaveTheTransactionWhole(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	v := viewOf(t, s, projector.Layout{Model: totals, Tables: []string{`CREATE TABLE sums (n bigint PRIMARY KEY)`}})
	c := write(t, v, projector.Checkpoint{Worker: "0"})
	for name, apply := range map[string]func(context.Context, *sql.Tx) error{
		"passes over an error": func(ctx context.Context, tx *sql.Tx) error {
			_, _ = tx.ExecContext(ctx, `INSERT INTO nowhere VALUES (1)`)
			return nil
		},
		"rolls back": func(_ context.Context, tx *sql.Tx) error { return tx.Rollback() },
	} {
		_, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Documents: []projector.Document{doc("a", `1`)}, Apply: apply})
		wantError(t, name, err, store.ErrInvalid)
	}
	if docs, err := v.Get(t.Context(), []string{"a"}); err != nil || len(docs) != 0 {
		t.Errorf("documents are %v, %v", docs, err)
	}
	write(t, v, c)
}

// What the server finds damaged while a handler runs is the store's to name, not
// the event's: nothing is parked for it.
func TestApplyFindsDamage(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	v := viewOf(t, s, projector.Layout{Model: totals, Tables: []string{`CREATE TABLE sums (n bigint)`}})
	c := write(t, v, projector.Checkpoint{Worker: "0"})
	apply := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = 'XX002'; END $$`)
		return err
	}
	_, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Apply: apply})
	wantError(t, "commit", err, store.ErrUnavailable)
	wantError(t, "commit", err, store.ErrDamaged)
}

// What takes the connection away from an Apply is the store's to repeat, and no
// error of the application.
func TestApplyLosesItsConnection(t *testing.T) {
	t.Parallel()
	s := open(t, server.Shared(t).URL())
	v := viewOf(t, s, projector.Layout{Model: totals, Tables: []string{`CREATE TABLE sums (n bigint)`}})
	c, calls := write(t, v, projector.Checkpoint{Worker: "0"}), 0
	apply := func(ctx context.Context, tx *sql.Tx) error {
		calls++
		if _, err := tx.ExecContext(ctx, `INSERT INTO sums VALUES ($1)`, calls); err != nil {
			return err
		}
		if calls == 1 {
			if _, err := tx.ExecContext(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`); err != nil {
				return errors.New("something of the application's own")
			}
		}
		return nil
	}
	if _, err := v.Commit(t.Context(), projector.Write{Checkpoint: c, Apply: apply}); err != nil {
		t.Fatal(err)
	}
	err := v.Query(t.Context(), func(tx *sql.Tx) error {
		var n, rows int
		err := tx.QueryRowContext(t.Context(), `SELECT sum(n), count(*) FROM sums`).Scan(&n, &rows)
		if n != 2 || rows != 1 {
			t.Errorf("%d rows, sum %d", rows, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s := postgres.New(postgres.Config{URL: server.Shared(t).URL(), Namespace: namespace()})
	v := viewOf(t, s, projector.Layout{Model: totals})
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := v.Load(t.Context(), "0")
	wantError(t, "load", err, store.ErrUnavailable)
	_, err = s.Open(t.Context(), projector.Layout{Model: totals})
	wantError(t, "open", err, store.ErrUnavailable)
	if _, err = v.Commit(t.Context(), projector.Write{Checkpoint: projector.Checkpoint{Worker: "0"}}); err == nil {
		t.Error("a closed store took a commit")
	}
}
