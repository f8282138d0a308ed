package projector_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// opened is the view's first model as it is stored.
func (f *fixture) opened(t *testing.T) (projector.View, projector.Checkpoint) {
	t.Helper()
	v, err := f.memory.Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Load(t.Context(), "0")
	if err != nil {
		t.Fatal(err)
	}
	return v, c
}

func TestVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var positions []store.Position
		for range 10 {
			positions = append(positions, s.writer.add("a", 1))
			s.writer.append(store.StreamID{Type: "other", ID: "x"}, closed{})
		}
		view := totals("totals")
		view.Workers = 3
		g := s.group(t, view)
		running(t, g)
		if err := g.Wait(soon(t), "totals", positions[9]); err != nil {
			t.Fatal(err)
		}
		got, err := g.Verify(soon(t), "totals", true)
		if err != nil || len(got.Workers) != 3 || got.Documents == nil || got.Documents.Compared != 2 || got.Documents.Differences != 0 {
			t.Errorf("verification: %+v, %v", got, err)
		}
		for _, w := range got.Workers {
			if !w.Equal || w.Stored.Events != 10 || w.Log != w.Stored || w.Detail != "" {
				t.Errorf("worker: %+v", w)
			}
		}
		for name, change := range map[string]func(c *projector.Checkpoint){
			"some were applied twice": func(c *projector.Checkpoint) { c.Events++ },
			"some were left out":      func(c *projector.Checkpoint) { c.Events-- },
			"not the same ones":       func(c *projector.Checkpoint) { c.Hash[0]++ },
			"another commit":          func(c *projector.Checkpoint) { c.Commit[0]++ },
			"no event of the view":    func(c *projector.Checkpoint) { c.Position -= 5 },
		} {
			v, good := s.opened(t)
			bad := good
			change(&bad)
			if bad, err = v.Commit(soon(t), projector.Write{Checkpoint: bad}); err != nil {
				t.Fatal(err)
			}
			got, err := g.Verify(soon(t), "totals", false)
			if err != nil || got.Workers[0].Equal || !got.Workers[1].Equal || got.Documents != nil {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if detail := got.Workers[0].Detail; !strings.Contains(detail, name) && name != "no event of the view" {
				t.Errorf("%s: it says %q", name, detail)
			}
			good.Revision = bad.Revision
			if _, err = v.Commit(soon(t), projector.Write{Checkpoint: good}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestVerifyNamesADocument(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		g := s.group(t, totals("totals"))
		running(t, g)
		s.writer.add("a", 1)
		last := s.writer.add("b", 1)
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		s.memory.Tear("totals", 1,
			projector.Document{Key: "b", Position: last, Document: []byte(`{"sum":7}`)},
			projector.Document{Key: "nobody", Position: last, Document: []byte(`{}`)})
		got, err := g.Verify(soon(t), "totals", true)
		if err != nil || !got.Workers[0].Equal {
			t.Fatalf("verification: %+v, %v", got, err)
		}
		if d := got.Documents; d.Compared != 4 || d.Differences != 2 || len(d.Examples) != 2 || d.Examples[0].Key != "b" || d.Examples[1].Candidate != "" {
			t.Errorf("documents: %+v", d)
		}
	})
}

func TestRewind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		did := &reacted{counts: map[string]int{}, broken: true}
		var positions []store.Position
		for range 10 {
			positions = append(positions, s.writer.add("a", 1))
		}
		positions = append(positions, s.writer.add("bad", 1))
		g := s.group(t, did.reaction(1, 2))
		running(t, g)
		if err := g.Wait(soon(t), "totals", positions[10]); err != nil {
			t.Fatal(err)
		}
		if letters, err := g.DeadLetters(soon(t), "totals"); err != nil || len(letters) != 1 {
			t.Fatalf("letters: %+v, %v", letters, err)
		}
		did.repair()
		if err := g.Rewind(soon(t), "totals", positions[10]+1024); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("rewind ahead: %v", err)
		}
		if err := g.Rewind(soon(t), "totals", positions[6]); err != nil {
			t.Fatal(err)
		}
		rest(time.Minute)
		did.want(t, map[string]int{"a": 13, "bad": 1})
		if letters, err := g.DeadLetters(soon(t), "totals"); err != nil || len(letters) != 0 {
			t.Errorf("letters: %+v, %v", letters, err)
		}
		got, err := g.Verify(soon(t), "totals", false)
		if err != nil || !got.Workers[0].Equal || !got.Workers[1].Equal || got.Workers[0].Stored.Events != 11 {
			t.Errorf("verification: %+v, %v", got, err)
		}
		if _, err := g.Verify(soon(t), "totals", true); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("documents of a reaction: %v", err)
		}
	})
}

func TestDocumentsAreNotRewound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		g := s.group(t, totals("totals"))
		running(t, g)
		if err := g.Rewind(soon(t), "totals", 0); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "rebuild") {
			t.Errorf("rewind: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Rewind(ctx, "nothing", 0); !errors.Is(err, projector.ErrNoView) {
			t.Errorf("rewind of no view: %v", err)
		}
	})
}
