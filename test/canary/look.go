//go:build linux

package main

import (
	"context"
	"fmt"
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
	wrapped, tables := map[*mark]bool{}, map[string]int{}
	look := &search{finder: newFinder(marksOf(s.doomed(), ofText, ofWrapped))}
	look.report = func(h hit) {
		if h.mark.class == ofWrapped {
			wrapped[h.mark] = true
		} else if store := s.inTable(h); store != "" {
			tables[store]++
		}
	}
	if err := s.trees(look); err != nil {
		return err
	}
	s.report.Before += tables["sqlite"] + tables["postgres"]
	s.report.WrappedBefore = len(wrapped)
	if want := len(s.sites) * s.options.forget; len(wrapped) != want || tables["sqlite"] == 0 || tables["postgres"] == 0 {
		return fmt.Errorf("INVALID: files hold %d of %d wrapped keys, and the tables %v texts", len(wrapped), want, tables)
	}
	return nil
}

// trees looks through everything but the program and the answers.
func (s *stage) trees(look *search) error {
	pg, err := s.pgDir()
	if err != nil {
		return err
	}
	dirs := []string{pg}
	for _, name := range []string{"nodes", "views", "archive", "backup", "keys"} {
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

// look is the search that it is all about, through everything that is left.
func (s *stage) look(context.Context) error {
	s.say("searching")
	s.dug, s.tabled = map[dug]bool{}, map[string]map[int]bool{"sqlite": {}, "postgres": {}}
	forgotten := &search{finder: newFinder(append(marksOf(s.persons, ofText, ofWrapped, ofKey), s.planted()...)), report: s.judge}
	if err := s.trees(forgotten); err != nil {
		return err
	}
	if err := forgotten.tree(s.path("answers")); err != nil {
		return err
	}
	s.undug()
	s.report.TabledFound = len(s.tabled["sqlite"]) + len(s.tabled["postgres"])
	s.report.FilesSearched, s.report.BytesSearched = forgotten.Files, forgotten.Bytes
	s.say("searched %d files, %d bytes, %d compressed pieces", forgotten.Files, forgotten.Bytes, forgotten.Frames)
	return nil
}

// judge counts what was found, and tells of the first of each kind.
func (s *stage) judge(h hit) {
	if h.mark.subject >= len(s.persons) {
		s.dig(h)
		return
	}
	count, person := &s.report.Hits, s.persons[h.mark.subject]
	switch {
	case h.mark.class == ofWrapped:
		count = &s.report.WrappedHits
	case h.mark.class == ofKey:
		count = &s.report.KeyHits
	case !person.doomed && s.belongs(h):
		return
	case !person.doomed:
		count = &s.report.AtRest
	}
	if *count++; *count <= mostTold {
		s.say("FOUND: %v", h)
	}
}

// belongs reports whether what was found of a living person may be there: in an answer, or
// in a table that has it in plain.
func (s *stage) belongs(h hit) bool {
	if store := s.inTable(h); store != "" {
		s.tabled[store][h.mark.subject] = true
		return true
	}
	return strings.HasPrefix(h.file, s.path("answers"))
}
