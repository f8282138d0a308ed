package node

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/migrate"
)

// marked says of what a transformation has made what of it is personal, by the types of this build.
func marked(transform migrate.Transform, types *intake) migrate.Transform {
	return func(codec store.Codec, c *store.Commit) error {
		read := spansOf(c)
		if err := transform(codec, c); err != nil {
			return err
		}
		return types.remark(c, read)
	}
}

// readSpans is what was read: spans, and the data in which they were found. The spans of an event that was copied
// are known by where they are kept; other ones may have been set there, and are other ones then.
type readSpans map[*store.Personal]markedData

type markedData struct {
	data  []byte
	spans []store.Personal
}

func spansOf(c *store.Commit) readSpans {
	read := readSpans{}
	for i := range c.Events {
		if e := &c.Events[i]; len(e.Personal) > 0 {
			read[&e.Personal[0]] = markedData{bytes.Clone(e.Data), slices.Clone(e.Personal)}
		}
	}
	return read
}

// stale reports whether an event of a commit has the spans of other data. Where two events have the same ones, nobody
// knows of which they were set.
func (r readSpans) stale(e *store.Event, c *store.Commit) bool {
	if len(e.Personal) == 0 {
		return false
	}
	was, read := r[&e.Personal[0]]
	if !read || bytes.Equal(was.data, e.Data) {
		return false
	}
	sharing := 0
	for i := range c.Events {
		if other := c.Events[i].Personal; len(other) > 0 && &other[0] == &e.Personal[0] {
			sharing++
		}
	}
	return sharing > 1 || slices.Equal(was.spans, e.Personal)
}

// remark sets what is personal in what a transformation has made: by the types, and where these find
// nothing, as it was read. The places of what was read say nothing about other data: there the types
// decide, and of what they do not know the transformation has to.
func (in *intake) remark(c *store.Commit, read readSpans) error {
	m := in.models[c.Stream.Type]
	for i := range c.Events {
		e := &c.Events[i]
		stale := read.stale(e, c)
		spans, err := []store.Personal(nil), fmt.Errorf("%w: aggregate %s", store.ErrUnknownType, c.Stream.Type)
		if m != nil {
			spans, err = m.EventSpans(*e)
		}
		switch {
		case err != nil && stale:
			return unmarked(c, e, err)
		case errors.Is(err, store.ErrUnknownType), err != nil && len(e.Personal) > 0:
			continue // the transformation knows better, or it is sealed as it was
		case err != nil:
			return fmt.Errorf("look for personal data in %s v%d of %s: %w", e.Type, e.Schema, c.Stream, err)
		}
		if stale || len(spans) > 0 {
			e.Personal = spans
		}
	}
	return nil
}

// unmarked refuses what may be personal, where nobody says what of it is.
func unmarked(c *store.Commit, e *store.Event, err error) error {
	return &Failure{
		Code: codePlain, Exit: console.ExitConflict, Err: err,
		What: fmt.Sprintf("%s v%d of aggregate %s has personal data, and what of it after the transformation is not known", e.Type, e.Schema, c.Stream.Type),
		Why:  err.Error(), Fix: "have the transformation set Personal of what it changes, or migrate with a binary that has the types",
	}
}
