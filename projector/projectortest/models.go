package projectortest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var modelCases = []testCase{
	{"views, versions and builds are apart", modelsApart},
	{"a model that is dropped is gone", dropped},
	{"dropping a model leaves the others", othersLeft},
	{"dropping what is not there is no error", droppedTwice},
	{"a writer whose model is dropped is refused", droppedUnderWriter},
	{"a writer whose model is dropped and made again is refused", droppedAndMadeAgain},
	{"members may be indexed", indexed},
}

func modelsApart(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Notes: []projector.Note{note("a", 1)},
	})
	for _, other := range otherModels {
		w := openAs(t, s, projector.Layout{Model: other})
		c := load(t, w)
		if c.Revision != 0 || len(get(t, w, c, "a")) != 0 || len(notes(t, w, worker)) != 0 {
			t.Errorf("%s is not empty: %+v", other, c)
		}
	}
}

// otherModels have something in common with the one that cases use.
var otherModels = []projector.Model{
	{View: viewName, Version: viewVersion + 1},
	{View: viewName, Version: viewVersion, Build: 1},
	{View: viewName, Version: viewVersion, Build: 2},
	{View: viewName, Version: 10*viewVersion + 1},
	{View: viewName + "-x", Version: viewVersion},
}

func dropped(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1), deletion("b", 1)}, Notes: []projector.Note{note("a", 1)},
	})
	drop(t, s, theModel)
	again := open(t, s)
	if diff := cmp.Diff(projector.Checkpoint{Worker: worker}, load(t, again)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	none := load(t, again)
	if found, listed, noted := get(t, again, none, "a", "b"), list(t, again, none, 10, nil), notes(t, again, worker); len(found)+len(listed)+len(noted) > 0 {
		t.Errorf("what is left: %v, %v, %v", found, listed, noted)
	}
	c := commit(t, again, none, doc("a", 2, 2))
	if got := valueOf(t, get(t, again, c, "a")["a"]); got != 2 {
		t.Errorf("document is %d", got)
	}
}

func drop(t *testing.T, s projector.Store, model projector.Model) {
	t.Helper()
	if err := s.Drop(within(t), model); err != nil {
		t.Fatal(err)
	}
}

func othersLeft(t *testing.T, h Harness) {
	s := h.Open(t)
	open(t, s)
	var all []projector.View
	for _, other := range otherModels {
		v := openAs(t, s, projector.Layout{Model: other})
		commit(t, v, load(t, v), doc("a", 1, 1))
		all = append(all, v)
	}
	drop(t, s, theModel)
	for i, v := range all {
		c := load(t, v)
		if found := get(t, v, c, "a"); len(found) != 1 || c.Position != 1 {
			t.Errorf("of %s there is %+v and %v", otherModels[i], c, found)
		}
		commit(t, v, c, doc("a", 2, 2))
	}
}

func droppedTwice(t *testing.T, h Harness) {
	s := h.Open(t)
	drop(t, s, theModel)
	open(t, s)
	drop(t, s, theModel)
	drop(t, s, theModel)
}

func droppedUnderWriter(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	drop(t, s, theModel)
	refused(t, v, c)
}

// refused makes sure that commits are, with documents and without.
func refused(t *testing.T, v projector.View, c projector.Checkpoint) {
	t.Helper()
	for _, docs := range [][]projector.Document{{doc("a", 9, 9)}, nil} {
		_, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c, docs...), Documents: docs})
		if !errors.Is(err, projector.ErrFenced) && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("commit of %d documents: %v, want ErrFenced or ErrUnavailable", len(docs), err)
		}
	}
}

func droppedAndMadeAgain(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, commit(t, v, load(t, v), doc("a", 1, 1)), doc("a", 2, 2))
	drop(t, s, theModel)
	again := open(t, s)
	refused(t, v, c)
	now := commit(t, again, load(t, again), doc("b", 1, 1))
	refused(t, v, c)
	if found := get(t, again, now, "a", "b"); len(found) != 1 || valueOf(t, found["b"]) != 1 {
		t.Errorf("documents are %v", found)
	}
	commit(t, again, now, doc("b", 2, 2))
}

// indexed asks for indexes, which a store may make or not, and changes its mind:
// they are no part of what is kept.
func indexed(t *testing.T, h Harness) {
	s := h.Open(t)
	v := openAs(t, s, projector.Layout{Model: theModel, Indexes: []string{"n", "offers.sent"}})
	c := commit(t, v, load(t, v), doc("a", 1, 1), projector.Document{Key: "b", Position: 1, Document: []byte(`{"offers":{"sent":[1,"x",null]}}`)})
	c = commit(t, v, c, projector.Document{Key: "c", Position: 2, Document: []byte(`"no object"`)}, deletion("b", 2))
	for _, indexes := range [][]string{{"n", "offers.sent"}, {"n", "other"}, nil} {
		again := openAs(t, s, projector.Layout{Model: theModel, Indexes: indexes})
		if diff := cmp.Diff(c, load(t, again)); diff != "" {
			t.Errorf("indexes %v: checkpoint (-want +got):\n%s", indexes, diff)
		}
		if diff := cmp.Diff([]string{"a", "c"}, list(t, again, c, 1, nil)); diff != "" {
			t.Errorf("indexes %v: listed (-want +got):\n%s", indexes, diff)
		}
		c = commit(t, again, c, doc("a", c.Position, 2), projector.Document{Key: "c", Position: c.Position, Document: []byte(`3`)})
	}
}
