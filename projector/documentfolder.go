package projector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// documentFolder is the folder of a document view. It holds decoded documents.
type documentFolder[E, D any] struct {
	view    Documents[E, D]
	wire    *wire[E]
	part    part
	cache   cache[D]
	fields  []field // that are personal
	staged  []touching[E]
	changed []*document[D]
	bytes   int
}

// touching is a staged event and the documents it touches.
type touching[E any] struct {
	reading[E]
	parked store.Position // see arrival
	keys   []string       // each once if the event is split
	// touched are the documents that each part of a split event touches.
	touched [][]string
}

func (f *documentFolder[E, D]) stage(a arrival) (err error) {
	read, err := f.wire.read(a)
	if err != nil {
		return err
	}
	defer f.wire.fault.contain(eventOf(a.Recorded), &err)
	s := touching[E]{reading: read, parked: a.parked}
	if read.notice != nil {
		s.keys = a.keys
		f.staged = append(f.staged, s)
		return nil
	}
	for nth := range read.count() {
		keys, err := f.checkKeys(f.view.Keys(read.nth(nth)))
		if err != nil {
			return f.wire.fault.handler(eventOf(a.Recorded), err)
		}
		if s.keys = keys; read.split {
			s.touched = append(s.touched, keys)
		}
	}
	if read.split {
		s.keys = slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.touched...))))
	}
	f.staged = append(f.staged, s)
	return nil
}

// checkKeys refuses what cannot be keys, and returns those of this part.
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
	if f.part.isAll() {
		return keys, nil
	}
	var mine []string // the definition's own slice stays as it is
	for _, key := range keys {
		if f.part.key(key) {
			mine = append(mine, key)
		}
	}
	return mine, nil
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
		d := &document[D]{key: s.Key, position: s.Position, late: s.Late, gone: s.Document == nil, size: len(s.Document)}
		d.keys = refsOf(s.Personal, s.Key)
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

func (f *documentFolder[E, D]) fold(_ context.Context, most room) (applied int, err error) {
	for i, s := range f.staged {
		if err := most.check(); err != nil {
			return applied, err
		}
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

// apply folds one event into its documents, all parts of one that is split in one
// step. A document that has the event already stays as it is: a torn commit left it
// ahead of the checkpoint, or Keys named it twice.
func (f *documentFolder[E, D]) apply(s touching[E]) (err error) {
	defer f.wire.fault.contain(eventOf(s.event), &err)
	for _, key := range s.keys {
		d := f.cache.get(key)
		if d.has(s.event.Position, s.parked) {
			continue
		}
		d.folded(s.event.Position, s.parked)
		if len(f.fields) > 0 {
			d.keys = addRefs(d.keys, s.event.Personal, s.event.Stream.ID)
		}
		for nth := range s.count() {
			switch {
			case s.notice != nil:
				f.tell(d, *s.notice)
			case !s.split || slices.Contains(s.touched[nth], key):
				f.foldInto(d, s.nth(nth))
			}
		}
		if !d.changed {
			d.changed = true
			f.changed = append(f.changed, d)
			f.bytes += d.size
		}
	}
	return nil
}

func (f *documentFolder[E, D]) foldInto(d *document[D], e store.Recorded[E]) {
	d.value = f.view.Fold(d.key, d.value, e)
	f.settle(d)
}

func (f *documentFolder[E, D]) tell(d *document[D], n privacy.Notice) {
	if d.gone {
		return
	}
	d.value = f.view.Forgotten(d.key, d.value, n)
	f.settle(d)
}

func (f *documentFolder[E, D]) settle(d *document[D]) {
	if d.gone = f.view.Gone != nil && f.view.Gone(d.value); d.gone {
		d.value, d.keys = *new(D), nil // what comes next begins anew
	}
}

func (f *documentFolder[E, D]) pending() (changes, error) {
	docs := make([]Document, 0, len(f.changed))
	for _, d := range f.changed {
		data, personal, err := f.encode(d)
		if err != nil {
			return changes{}, err
		}
		d.size = len(data)
		docs = append(docs, Document{Key: d.key, Position: d.position, Document: data, Late: d.late, Personal: personal})
	}
	return changes{documents: docs}, nil
}

func (f *documentFolder[E, D]) decode(d *document[D], data []byte) (err error) {
	if d.gone {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("view %s: decode document %q: %w", f.view.Name, d.key, f.quiet(panicked(r)))
		}
	}()
	if err := json.Unmarshal(data, &d.value); err != nil {
		return fmt.Errorf("view %s: document %q: %w: %w", f.view.Name, d.key, store.ErrDamaged, f.quiet(err))
	}
	return nil
}

// encode returns nil for a document that is deleted, and otherwise also what in it is
// personal.
func (f *documentFolder[E, D]) encode(d *document[D]) (data []byte, personal []store.Personal, err error) {
	if d.gone {
		return nil, nil, nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
		if err != nil {
			data, personal = nil, nil
			err = &unfitError{fmt.Errorf("view %s: encode document %q: %w", f.view.Name, d.key, f.quiet(err))}
		}
	}()
	if data, err = json.Marshal(d.value); err != nil {
		return nil, nil, err
	}
	if personal, err = store.PersonalSpans(store.JSON, d.value, data); err != nil {
		return nil, nil, err
	}
	return data, keyed(personal, d.key, data, d.keys), nil
}

// quiet withholds an error that may tell of what is personal in documents.
func (f *documentFolder[E, D]) quiet(err error) error {
	if len(f.fields) == 0 {
		return err
	}
	return withhold(err)
}

func (f *documentFolder[E, D]) drop(erased func([]store.KeyRef) bool) bool {
	gone := f.cache.drop(func(d *document[D]) bool { return !d.changed && erased(d.keys) })
	for _, d := range f.changed {
		if erased(d.keys) {
			return false
		}
	}
	for i := range f.staged {
		if f.staged[i].holds(erased) || slices.ContainsFunc(f.staged[i].keys, func(key string) bool { return gone[key] }) {
			return false
		}
	}
	return true
}

func (f *documentFolder[E, D]) holds(d Document, subject string) bool {
	return holdsSubject(f.fields, d.Key, d.Document, subject)
}

// canonical returns a document as it would be written anew: what was forgotten is zero
// then, as in a document that was folded afterwards.
func (v Documents[E, D]) canonical(d Document) (Document, error) {
	f := documentFolder[E, D]{view: v, fields: fieldsFrom(v.common().fields)}
	decoded := &document[D]{key: d.Key}
	if err := f.decode(decoded, d.Document); err != nil {
		return d, err
	}
	data, err := json.Marshal(decoded.value)
	if err != nil {
		return d, err
	}
	personal, err := store.PersonalSpans(store.JSON, decoded.value, data)
	if err != nil {
		return d, err
	}
	d.Document, d.Personal = data, personal
	return d, nil
}

func (f *documentFolder[E, D]) clean() {
	for _, d := range f.changed {
		d.changed = false
	}
	f.changed = f.changed[:0]
	f.bytes = 0
}

func (f *documentFolder[E, D]) trim(limit int) { f.cache.trim(limit, f.changed) }

func (f *documentFolder[E, D]) partly() bool {
	for _, s := range f.staged {
		for _, key := range s.keys {
			if f.cache.get(key).has(s.event.Position, s.parked) {
				return true
			}
		}
	}
	return false
}

// whole is false: Fold may have changed a document half when it panicked.
func (f *documentFolder[E, D]) whole() bool { return false }
