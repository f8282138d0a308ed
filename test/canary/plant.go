//go:build linux

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store/segment"
)

// filler makes a row so long that PostgreSQL compresses it.
var filler = bytes.Repeat([]byte("ab"), 2000)

// planting is a person whom nobody told the system of, with their data put where the search
// has to find them at the end.
type planting struct {
	place string
	dirs  []string // in each of which they have to be found
	*person
	put func(ctx context.Context, text []byte) error
}

// plant puts things where they must be found: each form of what is looked for into a file of
// its own, which is looked through and goes, and data into what the stores write, where
// they stay to the end.
func (s *stage) plant(ctx context.Context) error {
	s.say("planting")
	if err := s.plantForms(); err != nil {
		return err
	}
	pg, err := s.pgDir()
	if err != nil {
		return err
	}
	var disks []string
	for _, server := range s.servers {
		disks = append(disks, server.dir)
	}
	s.plantings = []*planting{
		{place: "a table of PostgreSQL", dirs: []string{pg}, put: s.plantRow},
		{place: "a table of PostgreSQL, compressed", dirs: []string{pg}, put: func(ctx context.Context, text []byte) error {
			return s.plantRow(ctx, append(text, filler...))
		}},
		{place: "a file of SQLite", dirs: []string{s.path("views")}, put: s.plantFile},
		{place: "a message on three servers", dirs: disks, put: s.plantMessage},
		{place: "a compressed file of an archive", dirs: []string{s.path("archive")}, put: s.plantSegment},
	}
	r := rand.New(rand.NewPCG(s.options.Seed, 2))
	for i, p := range s.plantings {
		text, err := p.makeUp(r, s.options.subjects+i)
		if err == nil {
			err = p.put(ctx, text)
		}
		if err != nil {
			return fmt.Errorf("plant %s: %w", p.place, err)
		}
		s.report.Planted += len(p.dirs) * len(known)
	}
	return nil
}

// makeUp makes up a person of whose known fields nothing is abbreviated where it is
// compressed, and returns what is to be put: now and then three letters of one stand in
// another before it.
func (p *planting) makeUp(r *rand.Rand, nth int) (text []byte, err error) {
	for text == nil || p.repeats(text) {
		p.person = newPerson(r, nth, 1)
		d := p.details
		d.Aliases = append(slices.Clip(d.Aliases), p.name)
		if text, err = json.Marshal(d); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// repeats reports whether something of a known field would be abbreviated: alone, or with
// what is around it, such as its first letter together with the quotation mark before.
func (p *planting) repeats(text []byte) bool {
	const match = 3 // is the least that is abbreviated
	for _, field := range known {
		mark := p.mark(field)
		begins := bytes.Index(text, mark)
		for at := begins - match + 1; at < begins+len(mark); at++ {
			if bytes.Contains(text[:at+match-1], text[at:at+match]) {
				return true
			}
		}
	}
	return false
}

// plantForms writes each form into a file of its own, finds it, and removes it again.
func (s *stage) plantForms() error {
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
	s.report.Planted += len(planted)
	s.report.PlantedFound += len(planted)
	look := &search{finder: newFinder(marksOf(s.persons, ofText, ofWrapped, ofKey)), report: func(h hit) { delete(planted, h.file) }}
	if err := look.tree(dir); err != nil {
		return err
	}
	s.report.PlantedFound -= len(planted)
	return os.RemoveAll(dir)
}

func (s *stage) plantRow(ctx context.Context, text []byte) error {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS planted (text TEXT)"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "INSERT INTO planted VALUES ($1)", string(text))
	return err
}

func (s *stage) plantFile(ctx context.Context, text []byte) error {
	db, err := sql.Open("sqlite", s.path("views", "planted.db"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE planted (text TEXT)"); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO planted VALUES (?)", string(text))
	return err
}

func (s *stage) plantMessage(ctx context.Context, text []byte) error {
	js, err := natsjs.New(s.sites[0].conn)
	if err != nil {
		return err
	}
	if _, err := js.CreateStream(ctx, natsjs.StreamConfig{Name: "PLANTED", Subjects: []string{"planted"}, Replicas: len(s.servers)}); err != nil {
		return err
	}
	_, err = js.Publish(ctx, "planted", text)
	return err
}

func (s *stage) plantSegment(_ context.Context, text []byte) error {
	f, err := os.Create(s.path("archive", "planted"))
	if err != nil {
		return err
	}
	w := segment.NewValueWriter(f)
	err = w.Add("planted", bytes.Repeat(text, 100))
	if _, _, _, closed := w.Close(); err == nil {
		err = closed
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// planted are the marks of what was planted, by which it is known.
func (s *stage) planted() (marks []*mark) {
	for _, p := range s.plantings {
		for _, m := range p.marks {
			if isKnown(m.field) {
				marks = append(marks, m)
			}
		}
	}
	return marks
}

func isKnown(field string) bool { return slices.Contains(known, field) }

// dug is something planted that was found.
type dug struct {
	dir  string
	mark *mark
}

// dig notes that something planted was found.
func (s *stage) dig(h hit) {
	p := s.plantings[h.mark.subject-len(s.persons)]
	for _, dir := range p.dirs {
		if strings.HasPrefix(h.file, dir+string(filepath.Separator)) {
			s.dug[dug{dir, h.mark}] = true
		}
	}
}

// undug tells what was planted and not found.
func (s *stage) undug() {
	s.report.PlantedFound += len(s.dug)
	for _, p := range s.plantings {
		for _, dir := range p.dirs {
			for _, m := range p.marks {
				if isKnown(m.field) && !s.dug[dug{dir, m}] {
					s.say("NOT FOUND: the %s that was planted in %s, below %s", m.field, p.place, dir)
				}
			}
		}
	}
}
