package projector

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// wire reads and shows events of a definition's types.
type wire[E any] struct {
	types store.Types[E]
	codec store.Codec
	desc  Description
	fault fault
	only  []string // wire names of the values that the view wants; nil: all
	room  []E      // for what is decoded: usually one value
}

func newWire[E any](types store.Types[E], codec store.Codec, desc Description, only []string) *wire[E] {
	return &wire[E]{types: types, codec: codec, desc: desc, fault: desc.fault(), only: only, room: make([]E, 0, 1)}
}

// reading is a stored event as a view sees it: one value, or the parts of one that
// is split in this build, of which the view may want none.
type reading[E any] struct {
	event store.Recorded[E] // the only value; without data if the event is split
	parts []store.Recorded[E]
	split bool
	// notice is what a view is told instead that has a handler for it.
	notice *privacy.Notice
}

// count is how many values the view sees.
func (r *reading[E]) count() int {
	if r.split {
		return len(r.parts)
	}
	return 1
}

// nth is one of them.
func (r *reading[E]) nth(i int) store.Recorded[E] {
	if r.split {
		return r.parts[i]
	}
	return r.event
}

// read decodes the event. A decoder or a step that panics is one more that cannot
// read it.
func (w *wire[E]) read(a arrival) (r reading[E], err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = w.fault.decode(eventOf(a.Recorded), panicked(cause))
		}
	}()
	if w.desc.notices(&a.Recorded) {
		return w.notice(a.Recorded)
	}
	codec, schema, data := w.codec, a.Schema, a.Data
	if a.edited != nil {
		codec, schema, data = store.JSON, w.editedSchema(a.Recorded), a.edited
	}
	values, err := w.types.DecodeAll(w.room[:0], codec, a.Type, schema, data)
	if err != nil {
		return r, w.fault.decode(eventOf(a.Recorded), err)
	}
	if len(values) == 1 {
		if r.event = w.types.Part(a.Recorded, 0, values[0]); w.wants(r.event.Type) {
			return r, nil
		}
	}
	return w.split(a.Recorded, values), nil
}

func (w *wire[E]) notice(raw store.Recorded[[]byte]) (reading[E], error) {
	n, err := privacy.ReadNotice(w.codec, raw.Data)
	if err != nil {
		return reading[E]{}, w.fault.decode(eventOf(raw), err)
	}
	return reading[E]{event: store.WithData(raw, *new(E)), notice: &n}, nil
}

// holds reports whether the event holds data that were opened with an erased key.
func (r *reading[E]) holds(erased func([]store.KeyRef) bool) bool {
	return len(r.event.Personal) > 0 && erased(refsOf(r.event.Personal, r.event.Stream.ID))
}

func (w *wire[E]) split(raw store.Recorded[[]byte], values []E) reading[E] {
	r := reading[E]{event: store.WithData(raw, *new(E)), split: true}
	for nth, v := range values {
		if part := w.types.Part(raw, nth, v); w.wants(part.Type) {
			r.parts = append(r.parts, part)
		}
	}
	return r
}

func (w *wire[E]) wants(name string) bool { return len(w.only) == 0 || slices.Contains(w.only, name) }

// editedSchema is the version in which edited data stand in for those of an event:
// its own, so that they are read alike by any build that reads the event; the last one
// where this build does not know that.
func (w *wire[E]) editedSchema(e store.Recorded[[]byte]) int {
	if last := w.types.Schema(e.Type); e.Schema < 1 || e.Schema > last {
		return last
	}
	return e.Schema
}

// show returns the event's data as JSON, in the schema that they are stored in.
func (w *wire[E]) show(e store.Recorded[[]byte]) (data json.RawMessage, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = w.fault.decode(eventOf(e), panicked(cause))
		}
	}()
	value, err := w.types.AsStored(w.codec, e.Type, e.Schema, e.Data, false)
	if err != nil {
		return nil, w.fault.decode(eventOf(e), err)
	}
	return store.JSON.Marshal(value)
}

// accept reports whether data could stand in for those of an event.
func (w *wire[E]) accept(e store.Recorded[[]byte], data json.RawMessage) error {
	if !w.types.Has(e.Type) {
		return fmt.Errorf("%w: %w", store.ErrInvalid, &store.UnknownTypeError{What: "event", Name: e.Type})
	}
	if len(data) == 0 {
		return &store.InvalidError{What: "data", Value: "", Reason: "they are empty"}
	}
	err := w.strictly(e, data)
	if rest := w.withoutKept(e, data); err != nil && rest != nil {
		err = w.strictly(e, rest)
	}
	return err
}

func (w *wire[E]) strictly(e store.Recorded[[]byte], data json.RawMessage) error {
	_, err := w.types.AsStored(store.JSON, e.Type, w.editedSchema(e), data, true)
	return err
}

// withoutKept returns data without the fields that the type does not have and keeps
// ([store.Unknown]), as far as the event has them: whoever edits was shown them. nil if
// there are none.
func (w *wire[E]) withoutKept(e store.Recorded[[]byte], data json.RawMessage) json.RawMessage {
	shown, err := w.show(e)
	var has, edited map[string]json.RawMessage
	if err != nil || json.Unmarshal(shown, &has) != nil || json.Unmarshal(data, &edited) != nil {
		return nil
	}
	kept := false
	for name, value := range edited {
		alone, err := json.Marshal(map[string]json.RawMessage{name: value})
		if _, there := has[name]; !there || err != nil || w.strictly(e, alone) == nil {
			continue
		}
		if _, err := w.types.AsStored(store.JSON, e.Type, w.editedSchema(e), alone, false); err == nil {
			delete(edited, name)
			kept = true
		}
	}
	if rest, err := json.Marshal(edited); kept && err == nil {
		return rest
	}
	return nil
}

// shower is what every wire is, whatever its events.
type shower interface {
	show(e store.Recorded[[]byte]) (json.RawMessage, error)
	accept(e store.Recorded[[]byte], data json.RawMessage) error
	check(e store.Recorded[[]byte]) error
	edited(e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, []store.Personal, error)
	personal(e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, []store.Personal, error)
}
