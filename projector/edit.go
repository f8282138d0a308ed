package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// What operators put in the place of an event's data is kept beside the letter, so what
// is personal in it is kept sealed, as it is in the event.

// personal returns edited data, encoded anew if something in them is personal, and what
// that is.
func (w *wire[E]) personal(e store.Recorded[[]byte], data json.RawMessage) (json.RawMessage, []store.Personal, error) {
	value, err := w.types.AsStored(store.JSON, e.Type, w.editedSchema(e), data, false)
	if err != nil {
		return nil, nil, err
	}
	again, err := store.JSON.Marshal(value)
	if err != nil {
		return nil, nil, err
	}
	personal, err := store.PersonalSpans(store.JSON, value, again)
	if err != nil || len(personal) == 0 {
		return data, nil, err
	}
	return again, personal, nil
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
