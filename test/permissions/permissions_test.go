//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/annals-go/annals/gateway"
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
	for _, rows := range [][]row{matrix, plain} {
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
		text.WriteString("nkey: " + key + "\npublish: { allow: [ " + taken() + " ] }\nsubscribe: { allow: [ ] }\n")
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

// taken are all grants that plants take away, as they stand in a file.
func taken() string {
	var all []string
	for _, p := range plants {
		if p.taken {
			all = append(all, strconv.Quote(p.subject))
		}
	}
	return strings.Join(all, " ")
}

// Whoever adds a control verb says here who may ask for it.
func TestEveryControlVerbHasCells(t *testing.T) {
	t.Parallel()
	var served, tried []string
	for _, v := range gateway.ControlVerbs() {
		served = append(served, v.Verb)
	}
	for _, c := range verbs {
		tried = append(tried, c.verb)
	}
	slices.Sort(tried)
	if !slices.Equal(served, tried) {
		t.Errorf("the gateway answers\n%q\nand the matrix tries\n%q", served, tried)
	}
}

func TestEndpointWithoutCellsIsFound(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]int{
		"loans.cmd.>": 0, "loans.prt.>": 0, "loans.qry.>": 0, "loans.watch.>": 0, "loans.node.n1.>": 0, "loans.node.p1.>": 0, "loans.ctl.info": 0,
		"loans.ctl.brand.new": 2, "loans.new.>": 2, "loans.node.p9.>": 1,
	} {
		if got := untried(endpoint); len(got) != want {
			t.Errorf("%s: %q, want %d", endpoint, got, want)
		}
	}
}

// example is what the tests share, built by the first that needs it.
var example struct {
	once sync.Once
	dir  string
	program
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if example.dir != "" {
		_ = os.RemoveAll(example.dir)
	}
	os.Exit(code)
}

func built(t *testing.T) program {
	t.Helper()
	example.once.Do(func() {
		if example.dir, example.err = os.MkdirTemp("", "annals-permissions-"); example.err == nil { //nolint:usetesting // it outlives the test that comes first
			example.program, example.err = build(context.Background(), example.dir)
		}
	})
	if example.err != nil {
		t.Fatal(example.err)
	}
	return example.program
}

// The matrix and the wrong grants, on a server, without nodes.
func TestMatrix(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short does not build the example")
	}
	var out, tell bytes.Buffer
	if err := run(t.Context(), []string{"--matrix", "--loans", built(t).path}, &out, &tell); err != nil {
		t.Errorf("%v\n%s%s", err, &tell, &out)
	}
}

// A wrong grant of any kind is a wrong cell: with it the program fails.
func TestPlantedGrantFailsTheRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short does not build the example")
	}
	err := run(t.Context(), []string{"--matrix", "--plant", "2", "--loans", built(t).path}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "cells are not as expected") {
		t.Errorf("error %v, want that of wrong cells", err)
	}
}

// Who may make a stream is anybody: the special rows about that see it.
func TestRepublishingIsSeen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: it builds the example")
	}
	dir := t.TempDir()
	p := built(t)
	for _, wrong := range []*plant{nil, {user: "p1", way: publishes, subject: buildMade}} {
		s, err := raise(t.Context(), p, filepath.Join(dir, strconv.FormatBool(wrong != nil)), false, wrong)
		if err != nil {
			t.Fatal(err)
		}
		defer s.server.Shutdown()
		for what, try := range map[string]func() (bool, error){"as another": s.asksAsAnother, "into the log": s.writesIntoLog} {
			if may, err := try(); err != nil || may != (wrong != nil) {
				t.Errorf("%s, with the grant %v: %v, %v", what, wrong != nil, may, err)
			}
		}
	}
}
