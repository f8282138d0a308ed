package projector

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/annals-go/annals/store"
)

// folder is the typed half of a projection: it decodes events, holds decoded
// documents and applies Keys and Fold. It belongs to one goroutine, knows
// neither log nor store, and is thrown away after any error: Fold may have
// changed a document half.
type folder interface {
	// stage decodes an event and asks which documents it touches. The events
	// that are staged are folded in the order of their staging.
	stage(e store.Recorded[[]byte]) error
	// missing returns the keys that staged events touch and that are not in
	// memory, each once.
	missing() []string
	// admit takes in the documents of those keys as they are stored; a key
	// without one has no document yet.
	admit(keys []string, stored []Document) error
	// fold applies staged events in order, and stops before the one that would
	// make more documents wait to be written than room allows, unless none
	// waits. It returns how many events it applied. Nothing may be missing.
	fold(room room) (int, error)
	// pending returns the documents that changed since clean, encoded.
	pending() ([]Document, error)
	// clean says that what pending returned is written.
	clean()
	// trim forgets documents so that about limit stay. Nothing may be staged.
	trim(limit int)
}

// room is a number of documents and of bytes.
type room struct{ documents, bytes int }

// documentFolder is the folder of a document view.
type documentFolder[E, D any] struct {
	view    Documents[E, D]
	codec   store.Codec
	part    part
	cache   cache[D]
	staged  []touching[E]
	changed []*document[D]
	bytes   int
}

// touching is a staged event and the documents it touches.
type touching[E any] struct {
	event store.Recorded[E]
	keys  []string
}

func (f *documentFolder[E, D]) stage(e store.Recorded[[]byte]) (err error) {
	defer f.contain(eventOf(e), &err)
	data, err := f.view.Events.Decode(f.codec, e.Type, e.Schema, e.Data)
	if err != nil {
		return f.stopped(eventOf(e), err)
	}
	event := typed(e, data)
	keys, err := f.checkKeys(f.view.Keys(event))
	if err != nil {
		return f.stopped(eventOf(e), err)
	}
	f.staged = append(f.staged, touching[E]{event: event, keys: keys})
	return nil
}

// typed is e with its decoded value.
func typed[E any](e store.Recorded[[]byte], data E) store.Recorded[E] {
	return store.Recorded[E]{
		Stream: e.Stream, Version: e.Version, Position: e.Position, ID: e.ID, Type: e.Type,
		Schema: e.Schema, Time: e.Time, Command: e.Command, Data: data,
	}
}

// checkKeys refuses what cannot be keys.
func (f *documentFolder[E, D]) checkKeys(keys []string) ([]string, error) {
	if len(keys) > MaxKeys {
		return nil, &store.TooLargeError{What: "number of documents that one event touches", Size: len(keys), Limit: MaxKeys}
	}
	for _, key := range keys {
		if f.cache.get(key) != nil {
			continue // it has been a key before
		}
		if _, err := store.EncodeToken(key); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func (f *documentFolder[E, D]) missing() []string {
	var keys []string
	asked := map[string]bool{}
	for _, s := range f.staged {
		for _, key := range s.keys {
			if !asked[key] && f.cache.get(key) == nil {
				asked[key] = true
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func (f *documentFolder[E, D]) admit(keys []string, stored []Document) error {
	for _, s := range stored {
		d := &document[D]{key: s.Key, position: s.Position, size: len(s.Document)}
		if err := f.decode(d, s.Document); err != nil {
			return err
		}
		f.cache.put(d)
	}
	for _, key := range keys {
		if f.cache.get(key) == nil {
			f.cache.put(&document[D]{key: key})
		}
	}
	return nil
}

func (f *documentFolder[E, D]) fold(most room) (applied int, err error) {
	for i, s := range f.staged {
		if len(f.changed) > 0 && !f.fits(s.keys, most) {
			break
		}
		if err := f.apply(s); err != nil {
			return applied, err
		}
		applied = i + 1
	}
	f.staged = slices.Delete(f.staged, 0, applied)
	return applied, nil
}

func (f *documentFolder[E, D]) fits(keys []string, most room) bool {
	if f.bytes > most.bytes {
		return false
	}
	n := len(f.changed)
	for _, key := range keys {
		if !f.cache.get(key).changed {
			n++
		}
	}
	return n <= most.documents
}

// apply folds one event into its documents. A document that has the event
// already stays as it is: a torn commit left it ahead of the checkpoint, or Keys
// named it twice.
func (f *documentFolder[E, D]) apply(s touching[E]) (err error) {
	defer f.contain(eventOf(s.event), &err)
	for _, key := range s.keys {
		d := f.cache.get(key)
		if s.event.Position <= d.position {
			continue
		}
		d.value = f.view.Fold(key, d.value, s.event)
		d.position = s.event.Position
		if !d.changed {
			d.changed = true
			f.changed = append(f.changed, d)
			f.bytes += d.size
		}
	}
	return nil
}

func (f *documentFolder[E, D]) pending() ([]Document, error) {
	docs := make([]Document, 0, len(f.changed))
	for _, d := range f.changed {
		data, err := f.encode(d)
		if err != nil {
			return nil, err
		}
		d.size = len(data)
		docs = append(docs, Document{Key: d.key, Position: d.position, Document: data})
	}
	return docs, nil
}

func (f *documentFolder[E, D]) decode(d *document[D], data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("view %s: decode document %q: %w", f.view.Name, d.key, &PanicError{Value: r, Stack: debug.Stack()})
		}
	}()
	if err := json.Unmarshal(data, &d.value); err != nil {
		return fmt.Errorf("view %s: document %q: %w: %w", f.view.Name, d.key, store.ErrDamaged, err)
	}
	return nil
}

func (f *documentFolder[E, D]) encode(d *document[D]) (data []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("view %s: encode document %q: %w", f.view.Name, d.key, &PanicError{Value: r, Stack: debug.Stack()})
		}
	}()
	if data, err = json.Marshal(d.value); err != nil {
		return nil, fmt.Errorf("view %s: encode document %q: %w", f.view.Name, d.key, err)
	}
	return data, nil
}

func (f *documentFolder[E, D]) clean() {
	for _, d := range f.changed {
		d.changed = false
	}
	f.changed = f.changed[:0]
	f.bytes = 0
}

func (f *documentFolder[E, D]) trim(limit int) { f.cache.trim(limit, f.changed) }

// contain turns a panic of the application's functions into an error.
func (f *documentFolder[E, D]) contain(e EventError, err *error) {
	if r := recover(); r != nil {
		*err = f.stopped(e, &PanicError{Value: r, Stack: debug.Stack()})
	}
}

func (f *documentFolder[E, D]) stopped(e EventError, reason error) error {
	e.View, e.Reason = f.view.Name, reason
	return &e
}

func eventOf[E any](e store.Recorded[E]) EventError {
	return EventError{Stream: e.Stream, Version: e.Version, Position: e.Position, Type: e.Type}
}
