//go:build linux

package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-kills", "3", "-only", "backup,migrate", "-seed", "7"}, io.Discard)
	if err != nil || o.kills != 3 || o.Seed != 7 || !o.tries("backup") || o.tries("restore") {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parse(nil, io.Discard); err != nil || o.kills != 20 || !slices.Equal(o.only, operationNames()) {
		t.Errorf("without flags %+v, %v", o, err)
	}
	for _, args := range [][]string{{"-kills", "0"}, {"-streams", "-1"}, {"-only", "format"}, {"more"}, {"-frobnicate"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

func TestOperationsHaveTheirNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, op := range operations() {
		names = append(names, op.name)
		if op.prepare == nil || op.line == nil || op.torn == nil || op.whole == nil {
			t.Errorf("%s lacks a part", op.name)
		}
	}
	if !slices.Equal(names, operationNames()) {
		t.Errorf("%v, want %v", names, operationNames())
	}
}

// A run passes only if all of it was tried, the check can fail, and nothing was wrong.
func TestVerdict(t *testing.T) {
	t.Parallel()
	o := options{kills: 2}
	good := func() *report {
		r := &report{Control: true, Operations: map[string]*outcome{}}
		for _, name := range operationNames() {
			r.Operations[name] = &outcome{Kills: 2, Resumed: 1, Refused: 1}
			r.add(r.Operations[name])
		}
		return r
	}
	if err := good().verdict(o); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*report){
		"something wrong": func(r *report) { r.add(&outcome{Wrong: []string{"the history itself"}}) },
		"proves nothing":  func(r *report) { r.Control = false },
		"NOT TRIED":       func(r *report) { delete(r.Operations, "backup") },
		"11 kills":        func(r *report) { r.Kills-- },
	} {
		r := good()
		change(r)
		if err := r.verdict(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// The later build must make something else of the history, or migrating it shows little.
func TestTheLaterBuildChangesTheHistory(t *testing.T) {
	t.Parallel()
	all, err := decide(ledger{}, move{Cents: 5, Parts: 3})
	if err != nil {
		t.Fatal(err)
	}
	var later []store.Event
	for _, e := range all {
		encoded, err := ledgers.Events.Encode(store.MsgPack, e)
		if err == nil {
			later, err = laterLedgers.Upcast(later, store.MsgPack, encoded.Event(0))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, e := range later {
		names = append(names, e.Type)
	}
	if want := []string{"given", "taken", "given", "taken"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if _, err := decide(ledger{}, move{}); err == nil {
		t.Error("a move without parts is taken")
	}
}
