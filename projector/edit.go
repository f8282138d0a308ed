package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// What operators put in the place of an event's data is kept beside the letter, so what
// is personal in it is kept sealed, as it is in the event.

// edited returns edited data, encoded anew by the type that they are read with, and what
// in them is personal.
func (w *wire[E]) edited(e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, []store.Personal, error) {
	value, err := w.types.AsStored(store.JSON, e.Type, w.editedSchema(e), data, false)
	if err != nil {
		return nil, nil, err
	}
	return spansIn(value)
}

func spansIn(value any) (json.RawMessage, []store.Personal, error) {
	data, err := store.JSON.Marshal(value)
	if err != nil {
		return nil, nil, err
	}
	personal, err := store.PersonalSpans(store.JSON, value, data)
	return data, personal, err
}

// personal is edited for data that are to be kept. It refuses them if something may be
// personal that the type does not say.
func (w *wire[E]) personal(e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, []store.Personal, error) {
	value, err := w.types.AsStored(store.JSON, e.Type, w.editedSchema(e), data, false)
	if err != nil {
		return nil, nil, err
	}
	again, personal, err := spansIn(value)
	if err == nil {
		err = covers(value, e.Personal, store.ShreddedIn(w.codec, e.Data))
	}
	if err == nil {
		err = w.tagged(e, again, personal)
	}
	return again, personal, err
}

// untagged says that data of a person would be kept as they are.
func untagged(path string) error {
	return &store.InvalidError{What: "data", Value: path, Reason: "they are personal, and the type of the schema that the event was stored in does not say so: tag it, too"}
}

// covers reports whether the type of a value calls personal what was sealed in the event.
func covers(value any, sealed []store.Personal, shredded []string) error {
	fields, err := store.PersonalFields(reflect.TypeOf(value))
	if err != nil {
		return err
	}
	for _, p := range sealed {
		shredded = append(shredded, p.Path)
	}
	for _, path := range shredded {
		if !slices.ContainsFunc(fields, func(f string) bool {
			field, _, _ := strings.Cut(f, " of ")
			return within(steps(path), steps(field))
		}) {
			return untagged(path)
		}
	}
	return nil
}

// steps takes a path apart: names, and what is in brackets; "" stands for any.
func steps(path string) (all []string) {
	for path != "" {
		rest, bracket := strings.CutPrefix(path, "[")
		quoted, err := strconv.QuotedPrefix(rest)
		switch {
		case bracket && err == nil:
			path = strings.TrimPrefix(rest[len(quoted):], "]")
			quoted, _ = strconv.Unquote(quoted)
			all = append(all, quoted)
		case bracket:
			step, after, _ := strings.Cut(rest, "]")
			path = after
			all = append(all, step)
		default:
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			all = append(all, path[:end])
			path = path[end:]
		}
	}
	return all
}

// within reports whether a path leads to a field, or into it.
func within(path, field []string) bool {
	if len(path) < len(field) {
		return false
	}
	for i, step := range field {
		if step != "" && step != path[i] {
			return false
		}
	}
	return true
}

// tagged refuses data of an older schema if, without what its type calls personal,
// today's types still find something personal in them.
func (w *wire[E]) tagged(e store.Recorded[[]byte], data []byte, personal []store.Personal) (err error) {
	if !slices.ContainsFunc(w.types.Names(), func(name string) bool { return len(w.types.Personal(name)) > 0 }) {
		return nil
	}
	defer func() {
		if recover() != nil { // a step, and what it says may be personal
			err = untagged("")
		}
	}()
	rest, err := store.ReplaceSpans(store.JSON, data, personal, func(int, []byte) ([]byte, error) { return nil, nil })
	if err != nil {
		return err
	}
	values, err := w.types.DecodeAll(nil, store.JSON, e.Type, w.editedSchema(e), rest)
	if err != nil {
		return untagged("")
	}
	for _, v := range values {
		encoded, err := w.types.Encode(store.JSON, v)
		if err != nil {
			return untagged("")
		}
		for _, p := range encoded.Personal {
			if value, err := valueOf(encoded.Data[p.Start:p.End]); err != nil || !isZero(value) {
				return untagged(p.Path)
			}
		}
	}
	return nil
}

// editScope is what edited data are sealed to: the event that they stand in for, of one view.
func (l *letter) editScope() privacy.Scope {
	return privacy.Scope{Kind: privacy.KindEdit, Stream: l.Stream, Command: fmt.Sprintf("%s %d", l.View, l.At), Type: l.Event}
}

// sealEdit returns data as they are to be kept in the place of those of the event that
// the stream waits at: under the keys that the event's own were opened with. New data of
// a person who was forgotten are refused, for nobody could have them forgotten again.
func (r *run) sealEdit(ctx context.Context, l *letter, e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, error) {
	cfg := r.w.p.cfg
	again, personal, err := r.w.p.def.shower(cfg.Log.Codec()).personal(e, data)
	if err != nil {
		return nil, refusal{err}
	}
	came := refsOf(e.Personal, e.Stream.ID)
	if personal = keyed(personal, e.Stream.ID, again, came); len(personal) == 0 {
		return again, nil
	}
	if cfg.Keyring == nil {
		return nil, refusal{&store.InvalidError{What: "data", Value: personal[0].Path, Reason: "they are personal, and nothing here could seal them"}}
	}
	shredded := len(store.ShreddedIn(cfg.Log.Codec(), e.Data)) > 0
	for _, p := range personal {
		if shredded && p.Key == (store.KeyID{}) {
			return nil, refusal{&store.InvalidError{What: "data", Value: p.Path, Reason: "the person was forgotten"}}
		}
	}
	sealed, err := cfg.Keyring.SealAs(ctx, l.editScope(), store.JSON, again, personal)
	if errors.Is(err, store.ErrInvalid) {
		return nil, refusal{err}
	}
	if err != nil {
		return nil, fmt.Errorf("seal data of %s version %d: %w", l.Stream, l.At, err)
	}
	return sealed, nil
}

// openEdit returns edited data in plain, without what was forgotten since, and what in
// them is personal.
func (l *letter) openEdit(ctx context.Context, keys *privacy.Keyring) (json.RawMessage, []store.Personal, error) {
	if keys == nil || l.Edited == nil {
		return l.Edited, nil, nil
	}
	data, personal, err := keys.Open(ctx, l.editScope(), store.JSON, l.Edited)
	if err != nil {
		return nil, nil, fmt.Errorf("open data that stand in for %s version %d: %w", l.Stream, l.At, err)
	}
	return data, personal, nil
}
