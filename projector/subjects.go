package projector

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// HasPersonal reports whether documents of the view have fields that are about persons.
func HasPersonal(d Definition) bool { return d.Describe().personal }

// PersonalInDocument returns a document of the view, encoded anew by the type of this
// build, and what in it says something about persons, whose id is the document's key
// where a span names none. Nothing does, if the view has no documents with personal
// fields. The error is that of a document that this build cannot read.
func PersonalInDocument(d Definition, key string, document json.RawMessage) (json.RawMessage, []store.Personal, error) {
	v, ok := d.(interface {
		spansOf(document json.RawMessage) (json.RawMessage, []store.Personal, error)
	})
	if !ok || !HasPersonal(d) {
		return document, nil, nil
	}
	data, spans, err := v.spansOf(document)
	if err != nil {
		return nil, nil, fmt.Errorf("document %q of view %s: %w", key, d.Describe().Name, err)
	}
	return data, saying(spans, data), nil
}

// saying are the spans of values that are not empty, as those that were forgotten are.
func saying(spans []store.Personal, data []byte) []store.Personal {
	return slices.DeleteFunc(spans, func(p store.Personal) bool {
		value, err := valueOf(data[p.Start:p.End])
		return err == nil && isZero(value)
	})
}

// PersonalInEdit is the same for [DeadLetter.Edited], which stand in for the data of an
// event: of that the type, the schema and the stream are used, whose id it is where a
// span names none.
func PersonalInEdit(d Definition, e store.Recorded[[]byte], edited json.RawMessage) (data json.RawMessage, spans []store.Personal, err error) {
	defer func() {
		if recover() != nil { // what a decoder says may be personal
			err = fmt.Errorf("%w: a decoder panicked", store.ErrInvalid)
		}
		if err != nil {
			data, spans, err = nil, nil, fmt.Errorf("data that stand in for %s version %d in view %s: %w", e.Stream, e.Version, d.Describe().Name, err)
		}
	}()
	data, spans, err = d.shower(store.JSON).edited(e, edited)
	return data, saying(spans, data), err
}

// spansOf decodes a document first: other builds may have added to it.
func (v Documents[E, D]) spansOf(document json.RawMessage) (json.RawMessage, []store.Personal, error) {
	var value D
	if err := store.JSON.Unmarshal(document, &value, false); err != nil {
		return nil, nil, err
	}
	return spansIn(value)
}
