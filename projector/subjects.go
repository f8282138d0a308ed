package projector

import (
	"encoding/json"
	"fmt"

	"github.com/annals-go/annals/store"
)

// HasPersonal reports whether documents of the view have fields that are about persons.
func HasPersonal(d Definition) bool { return d.Describe().personal }

// AboutSubject returns what in a document of the view is about a data subject; nil if nothing
// is, or if the view has no documents with personal fields. The error is that of a document that this
// build cannot read.
func AboutSubject(d Definition, key string, document json.RawMessage, subject string) (paths []string, err error) {
	v, ok := d.(interface {
		spansOf(document json.RawMessage) ([]store.Personal, error)
	})
	if !ok || !HasPersonal(d) {
		return nil, nil
	}
	spans, err := v.spansOf(document)
	if err != nil {
		return nil, fmt.Errorf("document %q of view %s: %w", key, d.Describe().Name, err)
	}
	for _, p := range spans {
		if p.Subject == subject || p.Subject == "" && key == subject {
			paths = append(paths, p.Path)
		}
	}
	return paths, nil
}

// spansOf returns what in a document is personal. It is decoded first: other builds may have
// added to it.
func (v Documents[E, D]) spansOf(document json.RawMessage) ([]store.Personal, error) {
	var value D
	if err := store.JSON.Unmarshal(document, &value, false); err != nil {
		return nil, err
	}
	data, err := store.JSON.Marshal(value)
	if err != nil {
		return nil, err
	}
	return store.PersonalSpans(store.JSON, value, data)
}
