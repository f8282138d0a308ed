package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	const bsd = "* Redistributions of source code must retain the\n above copyright notice, this list of conditions"
	for what, c := range map[string]struct {
		text string
		want []string
	}{
		"two clauses":      {bsd, []string{"BSD-2-Clause"}},
		"three clauses":    {bsd + "\nNeither the name of X nor the names of its\ncontributors may be used to endorse or promote products", []string{"BSD-3-Clause"}},
		"two licences":     {bsd + "\nThe rest: GNU General Public License, version 3", []string{"BSD-2-Clause", "GPL"}},
		"named by another": {"Mozilla Public License 1.12. means either the GNU General Public License, Version 2.0, the GNU Lesser General Public License, Version 2.1, the GNU Affero General Public License, Version 3.0, or", []string{"MPL-2.0"}},
		"our own words":    {"You may do what you like.", nil},
		"half of a phrase": {"Apache License\nVersion 2.0", nil},
	} {
		if got := identify(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if got := identify(string(own)); !slices.Equal(got, []string{"Apache-2.0"}) {
		t.Errorf("our own: %v", got)
	}
}

// A folder's licence counts as the root's does, unless nothing is used of it.
func TestReadLicences(t *testing.T) {
	t.Parallel()
	const good, bad = "this is free and unencumbered software released into the public domain", "GNU Affero General Public License"
	for what, c := range map[string]struct {
		files map[string]string
		used  []string
		want  string
	}{
		"good":                  {map[string]string{"LICENSE": good}, []string{"."}, ""},
		"none":                  {map[string]string{"README": good}, []string{"."}, "no licence file"},
		"unknown":               {map[string]string{"LICENCE.md": "mine"}, []string{"."}, "holds no licence"},
		"a bad folder":          {map[string]string{"LICENSE": good, "x/y/COPYING": bad}, []string{".", "x/y/z"}, "AGPL is not allowed"},
		"a folder for somebody": {map[string]string{"LICENSE": good, "x/y/COPYING": bad}, []string{".", "x/z"}, ""},
	} {
		m := &module{Path: "example.org/m", Dir: t.TempDir(), folders: map[string]bool{}}
		for name, text := range c.files {
			write(t, filepath.Join(m.Dir, name), text)
		}
		for _, used := range c.used {
			m.folders[filepath.Join(m.Dir, used)] = true
			write(t, filepath.Join(m.Dir, used, "x.go"), "package x")
		}
		err := m.readLicences()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBill(t *testing.T) {
	t.Parallel()
	modules := []*module{
		{Path: "example.org/a", Version: "v1.0.0", Sum: "h1:x", Shipped: true, Licences: []string{"MIT"}},
		{Path: "example.org/b", Version: "v2.0.0", Sum: "h1:y"},
	}
	needs := map[string][]string{own: {"example.org/a"}, "example.org/a": {"example.org/b"}}
	text, err := bill(modules, needs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bill(modules, needs)
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("twice the same modules give two bills: %v", err)
	}
	var got cyclone
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != "CycloneDX" || len(got.Components) != 3 || got.Components[1].Scope != "required" || got.Components[2].Scope != "excluded" {
		t.Errorf("the bill is %s", text)
	}
	if d := got.Dependencies; len(d) != 3 || !slices.Equal(d[1].DependsOn, []string{"pkg:golang/example.org/b@v2.0.0"}) {
		t.Errorf("dependencies are %+v", d)
	}
	modules[0].Version = "v1.0.1"
	other, err := bill(modules, needs)
	var changed cyclone
	if err != nil || json.Unmarshal(other, &changed) != nil || changed.SerialNumber == got.SerialNumber {
		t.Errorf("another bill has the same serial number %s: %v", got.SerialNumber, err)
	}
}

// What tests need may ask for more than what is shipped; a file that was explained is
// explained for its module alone.
func TestJudge(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "LICENSE-3RD-PARTY.md")
	write(t, file, "Mozilla Public License. This is free and unencumbered software released into the public domain.")
	for _, c := range []struct {
		m    module
		want []string
	}{
		{module{Path: "example.org/m", Shipped: true}, nil},
		{module{Path: "example.org/m"}, []string{"MPL-2.0", "Unlicense"}},
		{module{Path: "modernc.org/sqlite", Shipped: true}, []string{"Unlicense"}},
	} {
		if err := c.m.judge(file); (err == nil) != (c.want != nil) || err == nil && !slices.Equal(c.m.Licences, c.want) {
			t.Errorf("%s: %v, %v", c.m.Path, c.m.Licences, err)
		}
	}
}

// Only a database that cannot be had is a skip, and only if that is allowed.
func TestVulnerabilities(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		script  string
		require bool
		word    string
		fails   bool
	}{
		"none":           {"exit 0", true, "none", false},
		"some":           {"echo GO-1; exit 3", false, "found", true},
		"no database":    {"echo 'fetching vulnerabilities: no'; exit 1", false, "SKIPPED, NOT PASSED", false},
		"one is wanted":  {"echo 'fetching vulnerabilities: no'; exit 1", true, "SKIPPED, NOT PASSED", true},
		"something else": {"echo 'loading packages: no'; exit 1", false, "failed", true},
	} {
		checker := filepath.Join(t.TempDir(), "checker")
		if err := os.WriteFile(checker, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		word, err := vulnerabilities(t.Context(), options{checker: checker, require: c.require}, io.Discard)
		if word != c.word || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", what, word, err)
		}
	}
	if _, err := vulnerabilities(t.Context(), options{checker: "/nowhere/at-all"}, io.Discard); err == nil {
		t.Error("no checker passes")
	}
}
