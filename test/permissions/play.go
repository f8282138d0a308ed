//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// try is a whole run.
func try(ctx context.Context, o options, tell io.Writer) (r report, err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "annals-permissions-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	p := program{o.loans}
	if o.loans == "" {
		if p, err = build(ctx, dir); err != nil {
			return r, err
		}
	}
	var wrong *plant
	if o.plant > 0 {
		wrong = &plants[o.plant-1]
	}
	if err := r.main(ctx, p, filepath.Join(dir, "named"), wrong, !o.matrix, tell); err != nil {
		return r, err
	}
	if err := r.rowsOf(ctx, p, filepath.Join(dir, "plain"), true, nil, tell); err != nil {
		return r, err
	}
	if wrong == nil && !o.matrix {
		if err := r.three(ctx, p, filepath.Join(dir, "three"), tell); err != nil {
			return r, err
		}
	}
	if wrong == nil {
		err = r.plantAll(ctx, p, dir, tell)
	}
	r.Seconds = time.Since(began).Seconds()
	return r, err
}

// main is the play, with users as they are without --plain, and then the matrix on the server that it left.
func (r *report) main(ctx context.Context, p program, dir string, wrong *plant, play bool, tell io.Writer) error {
	s, err := raise(ctx, p, dir, false, wrong)
	if err != nil {
		return err
	}
	defer s.server.Shutdown()
	if play {
		if err := r.play(ctx, s, tell); err != nil {
			return err
		}
	}
	if err := r.count(s, matrix, names(), tell); err != nil {
		return err
	}
	t, err := s.trySpecials(tell)
	r.add(t)
	return err
}

func names() []string {
	var all []string
	for _, u := range users {
		name, _, _ := strings.Cut(u, "=")
		all = append(all, name)
	}
	return all
}

func (r *report) count(s *stage, rows []row, who []string, tell io.Writer) error {
	t, err := s.tryAll(rows, who, tell)
	r.add(t)
	return err
}

func (r *report) add(t tally) {
	r.Cells, r.Allowed, r.Refused, r.Wrong = r.Cells+t.cells, r.Allowed+t.allowed, r.Refused+t.refused, r.Wrong+t.wrong
}

// rowsOf tries rows alone on a fresh server: the matrix, or what is otherwise with --plain.
func (r *report) rowsOf(ctx context.Context, p program, dir string, without bool, wrong *plant, tell io.Writer) error {
	s, err := raise(ctx, p, dir, without, wrong)
	if err != nil {
		return err
	}
	defer s.server.Shutdown()
	if without {
		return r.count(s, plain, names(), tell)
	}
	who := names()
	if wrong != nil { // nobody else's file is another
		who = []string{wrong.user}
	}
	return r.count(s, matrix, who, tell)
}

// plantAll makes each mistake once, and looks whether the matrix finds it.
func (r *report) plantAll(ctx context.Context, p program, dir string, tell io.Writer) error {
	for i := range plants {
		var with report
		if err := with.rowsOf(ctx, p, filepath.Join(dir, "planted", strconv.Itoa(i+1)), false, &plants[i], io.Discard); err != nil {
			return err
		}
		r.Planted++
		if with.Wrong > 0 {
			r.Found++
		} else {
			fmt.Fprintf(tell, "NOT FOUND: wrong grant %d: %+v\n", i+1, plants[i])
		}
	}
	return nil
}
