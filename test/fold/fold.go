package fold

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// View is a view computed in memory. It belongs to one goroutine.
type View interface {
	// Name is the view's name.
	Name() string
	// Apply folds the next event of the log. The error is that of decoding it.
	Apply(e store.Recorded[[]byte]) error
	// Documents returns all documents, by key.
	Documents() (map[string]projector.Document, error)
}

// Loans returns an empty one for each view of the loans example.
func Loans() []View {
	return []View{New(views.Applications), New(views.Activities), New(views.Workload), New(views.Outcomes)}
}

// New returns an empty one for a definition.
func New[E, D any](view projector.Documents[E, D]) View {
	return &plain[E, D]{view: view, docs: map[string]*document[D]{}}
}

// All folds commits, in the order of the log, into each of the views.
func All(commits []*store.Commit, into ...View) error {
	for _, c := range commits {
		for e := range c.Recorded() {
			for _, v := range into {
				if err := v.Apply(e); err != nil {
					return fmt.Errorf("fold view %s at position %d: %w", v.Name(), e.Position, err)
				}
			}
		}
	}
	return nil
}

// plain runs a view's own definition, with nothing of what stores a view.
type plain[E, D any] struct {
	view projector.Documents[E, D]
	docs map[string]*document[D]
}

type document[D any] struct {
	value    D
	position store.Position
}

// Name implements [View].
func (p *plain[E, D]) Name() string { return p.view.Name }

// Apply implements [View]. What is of no type that the view follows is passed over.
func (p *plain[E, D]) Apply(raw store.Recorded[[]byte]) error {
	if !slices.Contains(p.view.Types, raw.Stream.Type) {
		return nil
	}
	values, err := p.view.Events.DecodeAll(nil, store.MsgPack, raw.Type, raw.Schema, raw.Data)
	if err != nil {
		return err
	}
	for nth, v := range values {
		p.apply(p.view.Events.Part(raw, nth, v))
	}
	return nil
}

func (p *plain[E, D]) apply(e store.Recorded[E]) {
	for _, key := range p.view.Keys(e) {
		d := p.docs[key]
		if d == nil {
			d = &document[D]{}
			p.docs[key] = d
		}
		d.value, d.position = p.view.Fold(key, d.value, e), e.Position
	}
}

// Documents implements [View].
func (p *plain[E, D]) Documents() (map[string]projector.Document, error) {
	all := make(map[string]projector.Document, len(p.docs))
	for key, d := range p.docs {
		text, err := json.Marshal(d.value)
		if err != nil {
			return nil, err
		}
		all[key] = projector.Document{Key: key, Position: d.position, Document: text}
	}
	return all, nil
}
