//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/annals-go/annals/test/harness"
)

// cleanPatience is how long stores may take to clean their files after the last notice.
const cleanPatience = time.Minute

// clean waits until the stores of the tables have cleaned their files, as they do by
// themselves, and has PostgreSQL give up its log of changes, which is for whoever runs
// it to do. If they do not come to that, the search at the end says what is left.
func (s *stage) clean(ctx context.Context) error {
	s.say("waiting for stores to clean their files")
	began := time.Now()
	f := newFinder(marksOf(s.doomed(), ofText))
	err := harness.Until(ctx, cleanPatience, "tables have nothing of the forgotten", func() error { return s.tablesAreClean(ctx, f) })
	s.report.CleanSeconds = time.Since(began).Seconds()
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.say("NOT CLEAN: %v", err)
	}
	return s.onPostgres(ctx, "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
}

// onPostgres has the one who runs PostgreSQL do something.
func (s *stage) onPostgres(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// tablesAreClean returns nil if the files of the tables have no mark. Those of PostgreSQL
// are as of its last checkpoint, so there is one first.
func (s *stage) tablesAreClean(ctx context.Context, f *finder) error {
	if err := s.onPostgres(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	pg, err := s.pgDir()
	if err != nil {
		return err
	}
	var found error
	look := &search{finder: f, report: func(h hit) { found = errors.New(h.String()) }}
	for _, dir := range []string{s.path("views"), filepath.Join(pg, "data", "base")} {
		if err := look.tree(dir); err != nil {
			return err
		}
	}
	return found
}

// The tables hold these of each person, in plain.
var tabled = map[string]bool{"name": true, "second name": true, "street": true, "photo": true, "number": true, "label": true, "label's name": true}

// inTable reports whether a hit is where the table of a store is, and of what is in it;
// store is empty if it is not.
func (s *stage) inTable(h hit) (store string) {
	switch file := filepath.ToSlash(h.file); {
	case !tabled[h.mark.field]:
	case strings.Contains(file, "/views/") && strings.Contains(filepath.Base(file), "register"):
		return "sqlite"
	case strings.Contains(file, "/annals-pg-") && (strings.Contains(file, "/base/") || strings.Contains(file, "/pg_wal/")):
		return "postgres"
	}
	return ""
}
