//go:build linux

package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annals-go/annals/test/postgres"
)

// What is made up to be planted is found in rows that PostgreSQL has compressed, whatever
// the seed.
func TestCompressedRowsAreFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := stage{pg: postgres.Own(t, "fsync=off")}
	database, err := s.pg.Database(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.database = database
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const rows = 100
	missing := map[*mark]int{}
	var marks []*mark
	for i := range rows {
		var p planting
		text, err := p.makeUp(r, i)
		if err == nil {
			err = s.plantRow(ctx, append(text, filler...))
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.marks {
			if isKnown(m.field) {
				marks, missing[m] = append(marks, m), i
			}
		}
	}
	if err := s.onPostgres(ctx, "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	dir, err := s.pgDir()
	if err != nil {
		t.Fatal(err)
	}
	compressed := 0
	look := &search{finder: newFinder(marks), report: func(h hit) {
		delete(missing, h.mark)
		if strings.HasPrefix(h.form, "pglz") {
			compressed++
		}
	}}
	if err := look.tree(filepath.Join(dir, "data", "base")); err != nil {
		t.Fatal(err)
	}
	for m, row := range missing {
		t.Errorf("row %d: the %s is not found", row, m.field)
	}
	if compressed == 0 {
		t.Error("nothing was compressed")
	}
}
