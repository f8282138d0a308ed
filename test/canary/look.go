//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// marksOf are those of persons, of some classes.
func marksOf(persons []*person, classes ...class) []*mark {
	var all []*mark
	for _, p := range persons {
		for _, m := range p.marks {
			for _, c := range classes {
				if m.class == c {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// before looks for those who are to be forgotten while there still has to be something:
// in answers, and in files.
func (s *stage) before(ctx context.Context) error {
	s.say("looking for what has to be found before")
	f := newFinder(marksOf(s.doomed(), ofText))
	err := s.onAll(ctx, func(ctx context.Context, t *site) error {
		p := s.doomed()[0]
		return t.about(ctx, p, func(what string, text []byte) error {
			found := 0
			f.find(text, func(m *mark, _ string, _ int) {
				if m.subject == p.nth {
					found++
				}
			})
			noting.Lock()
			s.report.Before += found
			noting.Unlock()
			if found == 0 && !blank(what) {
				return fmt.Errorf("before anybody is forgotten, nothing of %s is in %s: %s", p.id, what, text)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return s.beforeInFiles()
}

// blank reports whether an answer need not hold anything personal.
func blank(what string) bool {
	return what == "counts" || strings.Contains(what, "troubled") || strings.Contains(what, "diff")
}

// beforeInFiles looks for wrapped keys, which have to be in files of servers and in the
// backup, and for texts, which have to be in the table alone.
func (s *stage) beforeInFiles() error {
	wrapped, table := map[*mark]bool{}, 0
	look := &search{finder: newFinder(marksOf(s.doomed(), ofText, ofWrapped))}
	look.report = func(h hit) {
		switch {
		case h.mark.class == ofWrapped:
			wrapped[h.mark] = true
		case inTable(h.file):
			table++
		}
	}
	if err := s.trees(look); err != nil {
		return err
	}
	s.report.Before += table
	s.report.WrappedBefore = len(wrapped)
	if want := len(s.sites) * s.options.forget; len(wrapped) != want || table == 0 {
		return fmt.Errorf("files hold %d of %d wrapped keys, and the table %d texts", len(wrapped), want, table)
	}
	return nil
}

// inTable reports whether a file is of the table, which holds data in plain.
func inTable(file string) bool {
	return strings.Contains(filepath.ToSlash(file), "/views/") && strings.Contains(filepath.Base(file), "register")
}

// trees looks through everything but the program and the answers.
func (s *stage) trees(look *search) error {
	pg, err := s.pgDir()
	if err != nil {
		return err
	}
	dirs := []string{pg}
	for _, name := range []string{"nodes", "views", "archive", "backup"} {
		dirs = append(dirs, s.path(name))
	}
	for _, server := range s.servers {
		dirs = append(dirs, server.dir)
	}
	for _, dir := range dirs {
		if err := look.tree(dir); err != nil {
			return err
		}
	}
	return look.file(s.path("secret", "kek"))
}

// plant writes each form of what is looked for into a file of its own, finds it, and
// removes it again.
func (s *stage) plant(context.Context) error {
	dir := s.path("plant")
	marks := marksOf(s.doomed()[:1], ofText, ofWrapped, ofKey)
	planted := map[string]bool{}
	for m, mark := range marks {
		for i, f := range mark.forms {
			name := filepath.Join(dir, fmt.Sprintf("%d-%d", m, i))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(name, append([]byte("planted: "), f.bytes...), 0o600); err != nil {
				return err
			}
			planted[name] = true
		}
	}
	s.report.Planted = len(planted)
	look := &search{finder: newFinder(marksOf(s.persons, ofText, ofWrapped, ofKey)), report: func(h hit) { delete(planted, h.file) }}
	if err := look.tree(dir); err != nil {
		return err
	}
	s.report.PlantedFound = s.report.Planted - len(planted)
	return os.RemoveAll(dir)
}

// look is the search that it is all about, through everything that is left.
func (s *stage) look(context.Context) error {
	s.say("searching")
	forgotten := &search{finder: newFinder(marksOf(s.persons, ofText, ofWrapped, ofKey)), report: s.judge}
	if err := s.trees(forgotten); err != nil {
		return err
	}
	if err := forgotten.tree(s.path("answers")); err != nil {
		return err
	}
	s.report.FilesSearched, s.report.BytesSearched = forgotten.Files, forgotten.Bytes
	s.say("searched %d files, %d bytes, %d compressed pieces", forgotten.Files, forgotten.Bytes, forgotten.Frames)
	return nil
}

// judge counts what was found, and tells of the first of each kind.
func (s *stage) judge(h hit) {
	count, person := &s.report.Hits, s.persons[h.mark.subject]
	switch {
	case h.mark.class == ofWrapped:
		count = &s.report.WrappedHits
	case h.mark.class == ofKey:
		count = &s.report.KeyHits
	case !person.doomed && (inTable(h.file) || strings.HasPrefix(h.file, s.path("answers"))):
		return // where they belong
	case !person.doomed:
		count = &s.report.AtRest
	}
	if *count++; *count <= mostTold {
		s.say("FOUND: %v", h)
	}
}
