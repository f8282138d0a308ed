//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// reference is a view computed in memory, straight from the log.
type reference interface {
	name() string
	apply(e store.Recorded[[]byte]) error
	documents() (map[string]projector.Document, error)
}

// references returns an empty one for each view of the loans example.
func references() []reference {
	return []reference{
		newFold(views.Applications),
		newFold(views.Activities),
		newFold(views.Workload),
		newFold(views.Outcomes),
	}
}

// fold runs a view's own definition, with nothing of what stores a view.
type fold[E, D any] struct {
	view projector.Documents[E, D]
	docs map[string]*folded[D]
}

type folded[D any] struct {
	document D
	position store.Position
}

func newFold[E, D any](view projector.Documents[E, D]) *fold[E, D] {
	return &fold[E, D]{view: view, docs: map[string]*folded[D]{}}
}

func (f *fold[E, D]) name() string { return f.view.Name }

func (f *fold[E, D]) apply(raw store.Recorded[[]byte]) error {
	data, err := f.view.Events.Decode(store.MsgPack, raw.Type, raw.Schema, raw.Data)
	if err != nil {
		return err
	}
	e := store.Recorded[E]{
		Stream: raw.Stream, Version: raw.Version, Position: raw.Position, ID: raw.ID,
		Type: raw.Type, Schema: raw.Schema, Time: raw.Time, Command: raw.Command, Data: data,
	}
	for _, key := range f.view.Keys(e) {
		d := f.docs[key]
		if d == nil {
			d = &folded[D]{}
			f.docs[key] = d
		}
		d.document, d.position = f.view.Fold(key, d.document, e), e.Position
	}
	return nil
}

func (f *fold[E, D]) documents() (map[string]projector.Document, error) {
	out := make(map[string]projector.Document, len(f.docs))
	for key, d := range f.docs {
		text, err := json.Marshal(d.document)
		if err != nil {
			return nil, err
		}
		out[key] = projector.Document{Key: key, Position: d.position, Document: text}
	}
	return out, nil
}

// foldAll computes all views of the log.
func foldAll(b *book, all []reference) error {
	for _, c := range b.commits {
		for r := range c.Recorded() {
			for _, f := range all {
				if err := f.apply(r); err != nil {
					return fmt.Errorf("fold %s at position %d: %w", f.name(), r.Position, err)
				}
			}
		}
	}
	return nil
}

// compareView counts the documents in which a view differs from the fold of
// the log: missing, too many, at another position, with other contents.
func compareView(view string, want, got map[string]projector.Document) findings {
	var f findings
	for key, w := range want {
		g, there := got[key]
		switch {
		case !there:
			f.addWrong("view %s has no document %s", view, key)
		case g.Position != w.Position:
			f.addWrong("view %s has %s at position %d, the log at %d", view, key, g.Position, w.Position)
		case !sameJSON(g.Document, w.Document):
			f.addWrong("view %s has %s as %s, the log as %s", view, key, g.Document, w.Document)
		}
	}
	for key := range got {
		if _, there := want[key]; !there {
			f.addWrong("view %s has a document %s that the log does not lead to", view, key)
		}
	}
	return f
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
