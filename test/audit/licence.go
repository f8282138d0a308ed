package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// allowed are the licences that this module may stand on: they ask for no more than
// that they are kept with the copy.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "blessing", "CC0-1.0", "Unlicense"}

// allowedInTests are licences besides for what is shipped to nobody.
var allowedInTests = []string{"MPL-2.0"}

// explained are files, or single licences in them, that say nothing of the code that is
// used. The reason is checked by a person when a module is taken in, and again when its
// version changes what the file says.
var explained = []struct{ module, file, id, why string }{
	{"modernc.org/memory", "LICENSE-LOGO", "", "the origin of a picture"},
	{"modernc.org/libc", "LICENSE-LOGO", "", "the origin of a picture"},
	{"modernc.org/sqlite", "LICENSE-3RD-PARTY.md", "MPL-2.0", "a module that its own tools name, and that it compiles into nothing"},
}

// marks are sentences that only one family of licences has, as plain words.
var marks = []struct {
	id    string
	words []string
}{
	{"Apache-2.0", []string{"apache license version 2 0", "grants to you a perpetual worldwide non exclusive no charge royalty free irrevocable copyright license"}},
	{"Apache-2.0", []string{"licensed under the apache license version 2 0"}},
	{"MIT", []string{"permission is hereby granted free of charge to any person obtaining a copy of this software and associated documentation files", "without restriction including without limitation the rights to use copy modify"}},
	{"BSD", []string{"redistributions of source code must retain the above copyright notice this list of conditions"}},
	{"ISC", []string{"permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted provided that the above copyright notice"}},
	{"ISC", []string{"permission to use copy modify and distribute this software for any purpose with or without fee is hereby granted provided that the above copyright notice"}},
	{"MPL-2.0", []string{"mozilla public license"}},
	{"EPL", []string{"eclipse public license"}},
	{"CDDL", []string{"common development and distribution license"}},
	{"AGPL", []string{"gnu affero general public license"}},
	{"LGPL", []string{"gnu lesser general public license"}},
	{"LGPL", []string{"gnu library general public license"}},
	{"GPL", []string{"gnu general public license"}},
	{"SSPL", []string{"server side public license"}},
	{"BUSL", []string{"business source license"}},
	{"Commons-Clause", []string{"commons clause"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
	{"CC0-1.0", []string{"cc0 1 0 universal"}},
	{"CC-BY", []string{"creative commons attribution"}},
	{"blessing", []string{"the author disclaims copyright to this source code", "may you do good and not evil"}},
	{"blessing", []string{"sqlite", "public domain"}},
}

// bsdThird begins the sentence that three clauses have and two do not.
var bsdThird = regexp.MustCompile(`(neither the names? of|the names? of the (authors?|contributors?)|names of contributors).{0,120}may (not )?be used to endorse or promote`)

var (
	licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[sc]e|copying)([-._].*)?$`)
	noWords     = regexp.MustCompile(`[^a-z0-9]+`)
)

// readLicences reads the licence files from the folders that are used up to the
// module's root, and fails on what is not allowed.
func (m *module) readLicences() error {
	files := map[string]bool{}
	for folder := range m.folders {
		for dir := folder; strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.IsDir() && licenceFile.MatchString(e.Name()) {
					files[filepath.Join(dir, e.Name())] = true
				}
			}
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("%s %s has no licence file", m.Path, m.Version)
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := m.judge(file); err != nil {
			return err
		}
	}
	slices.Sort(m.Licences)
	m.Licences = slices.Compact(m.Licences)
	return nil
}

// judge notes the licences of a file and refuses what is not allowed.
func (m *module) judge(file string) error {
	if m.explains(file, "") {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	ids := identify(string(text))
	if len(ids) == 0 {
		return fmt.Errorf("%s: %s holds no licence that is known here", m.Path, file)
	}
	for _, id := range ids {
		switch {
		case m.explains(file, id):
			continue
		case slices.Contains(allowed, id), !m.Shipped && slices.Contains(allowedInTests, id):
			m.Licences = append(m.Licences, id)
		default:
			return fmt.Errorf("%s: the licence %s is not allowed here: %s", m.Path, id, file)
		}
	}
	return nil
}

// explains reports whether a person has said why a licence in a file, or with "" the
// whole file, is not one of the code.
func (m *module) explains(file, id string) bool {
	for _, e := range explained {
		if e.module == m.Path && e.file == filepath.Base(file) && e.id == id {
			return true
		}
	}
	return false
}

// secondary is where the Mozilla licence names those that it may be combined with.
const secondary = "either the gnu general public license version 2 0 the gnu lesser general public license version 2 1 the gnu affero general public license version 3 0"

// identify returns the licences that a text holds.
func identify(text string) []string {
	words := strings.Trim(noWords.ReplaceAllString(strings.ToLower(text), " "), " ")
	words = strings.ReplaceAll(words, secondary, "")
	var ids []string
	for _, mark := range marks {
		id, all := mark.id, true
		for _, w := range mark.words {
			all = all && strings.Contains(words, w)
		}
		if !all {
			continue
		}
		if id == "BSD" {
			id = "BSD-2-Clause"
			if bsdThird.MatchString(words) {
				id = "BSD-3-Clause"
			}
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
