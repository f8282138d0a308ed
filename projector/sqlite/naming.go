package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var _ projector.Namer = (*Store)(nil)

// Name implements [projector.Namer]: DIR/<namespace>_<view>.db is a symbolic link
// to the model's file, which SQLite follows. A program that has the link open
// keeps the file that it stood for, until it opens it again. Where links cannot be
// made the view has no name of its own, and that is no error.
func (s *Store) Name(ctx context.Context, model projector.Model) error {
	doing := "name view " + model.View
	if err := s.cfg.validate(model); err != nil {
		return err
	}
	if err := s.take(ctx); err != nil {
		return failed(doing, err)
	}
	defer func() { <-s.turn }()
	if err := link(s.cfg.pathOf(model), s.cfg.linkPath(model.View)); err != nil {
		return failed(doing, err)
	}
	return nil
}

// linkPath is the view's own name. No model has it: theirs end with a version.
func (c Config) linkPath(view string) string {
	return filepath.Join(c.Dir, c.Namespace+"_"+view+".db")
}

// link lets the name at link stand for the file at path, in one step.
func link(path, link string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("model's file: %w", store.ErrNotFound)
	}
	target := filepath.Base(path)
	has, err := os.Readlink(link)
	switch {
	case err == nil && has == target:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return &store.InvalidError{What: "file", Value: link, Reason: "it was made by other means"}
	}
	next := link + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return nil //nolint:nilerr // some file systems and some accounts of Windows have no links
	}
	if err := os.Rename(next, link); err != nil {
		return err
	}
	return syncDir(filepath.Dir(link))
}
