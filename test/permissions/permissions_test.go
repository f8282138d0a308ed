//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	good := report{Cells: 90, Allowed: 40, Refused: 50, Worked: 30, Planted: 10, Found: 10}
	if err := good.verdict(options{}); err != nil {
		t.Errorf("a good run: %v", err)
	}
	for name, spoil := range map[string]func(*report){
		"a wrong cell":        func(r *report) { r.Wrong = 1 },
		"too few cells":       func(r *report) { r.Cells = 79 },
		"nothing allowed":     func(r *report) { r.Allowed = 0 },
		"nothing refused":     func(r *report) { r.Refused = 0 },
		"something failed":    func(r *report) { r.Failed = 1 },
		"a refusal in play":   func(r *report) { r.Violations = 1 },
		"too little was done": func(r *report) { r.Worked = 3 },
		"a plant not found":   func(r *report) { r.Found = 9 },
		"nothing planted":     func(r *report) { r.Planted, r.Found = 0, 0 },
	} {
		r := good
		if spoil(&r); r.verdict(options{}) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// A cell is known by the text of the server's refusal, which stays the
// connection's last error: no two rows may have the same.
func TestRowsAreDifferent(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, u := range names() {
		known[u] = true
	}
	for _, rows := range [][]row{matrix, strict} {
		seen := map[string]bool{}
		for _, r := range rows {
			if what := string(r.way) + " " + r.subject; seen[what] {
				t.Errorf("%s is there twice", what)
			} else {
				seen[what] = true
			}
			for u := range strings.FieldsSeq(r.who) {
				if !known[u] {
					t.Errorf("%s: no user %q", r.subject, u)
				}
			}
		}
	}
}

func TestPlantsAreGivenAndTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var text strings.Builder
	for _, u := range names() {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, err := pair.Seed()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, u+".nk"), seed, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("nkey: " + key + "\npublish: { allow: [ \"loans.evt.>\" \"loans.ctl.aggregate.history\" ] }\nsubscribe: { allow: [ ] }\n")
	}
	for _, p := range plants {
		got, err := p.into(text.String(), dir)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Count(text.String(), `"`+p.subject+`"`) + 1
		if p.taken {
			want -= 2
		}
		if n := strings.Count(got, `"`+p.subject+`"`); n != want {
			t.Errorf("%+v: %d times, want %d", p, n, want)
		}
	}
}

// A wrong grant of any kind is a wrong cell: with it the program fails.
func TestPlantedGrantFailsTheRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: it builds the example")
	}
	err := run(t.Context(), []string{"--matrix", "--plant", "2"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "cells are not as expected") {
		t.Errorf("error %v, want that of wrong cells", err)
	}
}
