//go:build linux

package main

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func TestFoldOfTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("a", "a1")
	last := w.commit("b", "b1").Last()
	all := references()
	if err := foldAll(w.book, all); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]projector.Document{}
	for _, f := range all {
		docs, err := f.documents()
		if err != nil {
			t.Fatal(err)
		}
		got[f.name()] = docs
	}
	if len(got["applications"]) != 2 || got["applications"]["b"].Position != last {
		t.Errorf("applications: %v", got["applications"])
	}
	var sum struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(got["outcomes"]["open"].Document, &sum); err != nil || sum.Count != 2 {
		t.Errorf("outcomes: %s, %v", got["outcomes"]["open"].Document, err)
	}
}

func TestCompareViewFindsEveryDifference(t *testing.T) {
	t.Parallel()
	doc := func(p store.Position, text string) projector.Document {
		return projector.Document{Position: p, Document: json.RawMessage(text)}
	}
	want := map[string]projector.Document{"x": doc(1, `{"n":1,"m":2}`), "y": doc(2, `{}`)}
	for _, c := range []struct {
		name  string
		spoil func(got map[string]projector.Document)
		wrong int
	}{
		{"none", func(map[string]projector.Document) {}, 0},
		{"other spelling", func(got map[string]projector.Document) { got["x"] = doc(1, `{"m": 2, "n": 1}`) }, 0},
		{"missing", func(got map[string]projector.Document) { delete(got, "x") }, 1},
		{"too many", func(got map[string]projector.Document) { got["z"] = doc(1, `{}`) }, 1},
		{"position", func(got map[string]projector.Document) { got["y"] = doc(1, `{}`) }, 1},
		{"contents", func(got map[string]projector.Document) { got["x"] = doc(1, `{"n":1,"m":3}`) }, 1},
		{"no JSON", func(got map[string]projector.Document) { got["y"] = doc(2, ``) }, 1},
	} {
		got := maps.Clone(want)
		c.spoil(got)
		if f := compareView("v", want, got); f.wrong != c.wrong {
			t.Errorf("%s: %d wrong, want %d: %v", c.name, f.wrong, c.wrong, f.notes)
		}
	}
}
