package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Lister is what the audit of the views needs of a client.
type Lister interface {
	// List yields the documents of a view that has reached min.
	List(ctx context.Context, view string, min store.Position) iter.Seq2[projector.Document, error]
}

// Views compares each view, once it has reached the end of the log, with the
// fold of the log by the view's own definition. It waits at most until limit is
// over, and returns every difference that is left then.
func Views(ctx context.Context, b *Book, c Lister, limit time.Duration) ([]string, error) {
	var differences []string
	deadline := time.Now().Add(limit)
	for _, v := range []reference{
		newFold(views.Applications), newFold(views.Activities), newFold(views.Workload), newFold(views.Outcomes),
	} {
		want, err := v.documents(b)
		if err != nil {
			return nil, err
		}
		var got map[string]projector.Document
		err = Until(ctx, time.Until(deadline), "view "+v.name(), func() (err error) {
			got, err = list(ctx, c, v.name(), b.tip)
			return err
		})
		if err != nil {
			differences = append(differences, err.Error())
			continue
		}
		differences = append(differences, compare(v.name(), want, got)...)
	}
	return differences, ctx.Err()
}

func list(ctx context.Context, c Lister, view string, min store.Position) (map[string]projector.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	docs := map[string]projector.Document{}
	for d, err := range c.List(ctx, view, min) {
		if err != nil {
			return nil, err
		}
		docs[d.Key] = d
	}
	return docs, nil
}

// reference is a view computed in memory, straight from the log.
type reference interface {
	name() string
	documents(b *Book) (map[string]projector.Document, error)
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

func (f *fold[E, D]) documents(b *Book) (map[string]projector.Document, error) {
	for _, c := range b.commits {
		for r := range c.Recorded() {
			if err := f.apply(r); err != nil {
				return nil, fmt.Errorf("fold view %s at position %d: %w", f.name(), r.Position, err)
			}
		}
	}
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

func (f *fold[E, D]) apply(raw store.Recorded[[]byte]) error {
	data, err := f.view.Events.Decode(store.MsgPack, raw.Type, raw.Schema, raw.Data)
	if err != nil {
		return err
	}
	e := store.WithData(raw, data)
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

// compare tells the documents in which a view differs from the fold: missing,
// too many, at another position, with other contents.
func compare(view string, want, got map[string]projector.Document) []string {
	var differences []string
	note := func(format string, v ...any) { differences = append(differences, fmt.Sprintf(format, v...)) }
	for key, w := range want {
		g, there := got[key]
		switch {
		case !there:
			note("view %s has no document %s", view, key)
		case g.Position != w.Position:
			note("view %s has %s at position %d, the log at %d", view, key, g.Position, w.Position)
		case !sameJSON(g.Document, w.Document):
			note("view %s has %s as %s, the log as %s", view, key, g.Document, w.Document)
		}
	}
	for key := range got {
		if _, there := want[key]; !there {
			note("view %s has a document %s that the log does not lead to", view, key)
		}
	}
	return differences
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
