//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	good := report{Streams: 10, Past: 10, Control: 3, FlipsPlanted: 4, FlipsFound: 4}
	if err := good.verdict(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*report){
		"nothing compared":   func(r *report) { r.Streams = 0 },
		"no past":            func(r *report) { r.Past = 0 },
		"a difference":       func(r *report) { r.Differences = 1 },
		"a blind comparison": func(r *report) { r.Control = 0 },
		"a flip not found":   func(r *report) { r.FlipsFound = 3 },
		"too few flips":      func(r *report) { r.FlipsPlanted, r.FlipsFound = 3, 3 },
	} {
		r := good
		change(&r)
		if r.verdict() == nil {
			t.Errorf("%s passes", what)
		}
	}
}

func commit(id string, sequence uint64) *store.Commit {
	return &store.Commit{
		Stream: store.StreamID{Type: "application", ID: id}, ID: uuid.NewSHA1(uuid.Nil, []byte(id)), Sequence: sequence, Local: sequence,
		Commands: []store.Command{{ID: "c" + id, Name: "submit"}}, Events: []store.Event{{Type: "submitted", Schema: 1, Data: []byte{1}}},
		Hash: store.HashOf([]byte(id)),
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	a, b := store.StreamID{Type: "application", ID: "a"}, store.StreamID{Type: "application", ID: "b"}
	want := map[store.StreamID]hash{a: {1}, b: {2}}
	for what, c := range map[string]struct {
		got  map[store.StreamID]hash
		want int
	}{
		"the same":  {map[store.StreamID]hash{a: {1}, b: {2}}, 0},
		"another":   {map[store.StreamID]hash{a: {1}, b: {3}}, 1},
		"missing":   {map[store.StreamID]hash{a: {1}}, 1},
		"too many":  {map[store.StreamID]hash{a: {1}, b: {2}, {}: {3}}, 1},
		"no states": {nil, 2},
	} {
		if got := differences(want, c.got); got != c.want {
			t.Errorf("%s: %d differences, want %d", what, got, c.want)
		}
	}
	log := []*store.Commit{commit("a", 1), commit("b", 2)}
	if n := commitsThatDiffer(log, log); n != 0 {
		t.Errorf("a log differs from itself in %d commits", n)
	}
	if n := commitsThatDiffer(log, []*store.Commit{log[0], commit("c", 2), commit("d", 3)}); n != 2 {
		t.Errorf("%d commits differ, want 2", n)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	c := commit("a", 7)
	right := backup.Finding{Stream: "application/a", Version: 1, Sequence: 7}
	if !names([]backup.Finding{{}, right}, c) {
		t.Error("a finding that names the commit does not count")
	}
	for _, wrong := range []backup.Finding{{Stream: "application/b", Version: 1, Sequence: 7}, {Stream: "application/a", Version: 2, Sequence: 7}, {Stream: "application/a", Version: 1, Sequence: 8}} {
		if names([]backup.Finding{wrong}, c) {
			t.Errorf("%+v counts", wrong)
		}
	}
}

func TestFlipIn(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	dir := streamDir(data, "shop")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := commit("a", 1)
	stored, err := store.EncodeCommit(store.MsgPack, c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "10.blk")
	before := append(append(bytes.Repeat([]byte{9}, 500), stored...), bytes.Repeat([]byte{9}, 500)...)
	for name, content := range map[string][]byte{"2.blk": bytes.Repeat([]byte{8}, 100), "10.blk": before} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	undo, err := flipIn(rand.New(rand.NewPCG(1, 2)), data, "shop", c)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for i := range before {
		if before[i] != after[i] {
			changed++
		}
	}
	if changed != 1 || len(before) != len(after) {
		t.Errorf("%d bytes changed", changed)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, before) {
		t.Errorf("it was not undone: %v", err)
	}
	if _, err := flipIn(rand.New(rand.NewPCG(1, 2)), data, "shop", commit("b", 2)); err == nil {
		t.Error("a commit that is not there was found")
	}
}
