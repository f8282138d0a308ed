package projector_test

import (
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// keeping is an event of a build that does not know all fields that a later one wrote.
type keeping struct {
	N    int           `json:"n"`
	Rest store.Unknown `json:"-"`
}

// What an operator is shown of an event may be sent back, also the fields that this
// build only keeps; others are refused.
func TestKeptFieldsMayBeEdited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var well atomic.Bool
		view := projector.Documents[any, []json.RawMessage]{
			Name: "kept", Types: []string{"counter"}, Events: store.NewTypes(map[string]any{"kept": keeping{}}),
			Keys: func(store.Recorded[any]) []string { return []string{"all"} },
			Fold: func(_ string, d []json.RawMessage, e store.Recorded[any]) []json.RawMessage {
				if !well.Load() {
					panic("it is ill")
				}
				data, err := store.JSON.Marshal(e.Data)
				if err != nil {
					panic(err)
				}
				return append(d, data)
			},
		}
		g := f.group(t, view)
		defer running(t, g)()
		data, err := f.log.Codec().Marshal(map[string]any{"n": 1, "extra": "x"})
		if err != nil {
			t.Fatal(err)
		}
		last := f.writer.store(counter("a"), store.Event{Type: "kept", Schema: 1, Data: data})
		if err := g.Wait(soon(t), "kept", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "kept")
		events, err := g.LetterEvents(soon(t), "kept", l.ID, 1)
		if err != nil || len(events) != 1 || string(events[0].Data) != `{"n":1,"extra":"x"}` {
			t.Fatalf("%+v, %v", events, err)
		}
		for _, wrong := range []string{`{"n":1,"extra":"x","m":2}`, `{"n":"one","extra":"x"}`, `{"m":2}`} {
			if err := g.Edit(soon(t), "kept", l.ID, l.At, json.RawMessage(wrong), "me"); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("edited to %s: %v", wrong, err)
			}
		}
		if err := g.Edit(soon(t), "kept", l.ID, l.At, json.RawMessage(`{"n":2,"extra":"y"}`), "me"); err != nil {
			t.Fatal(err)
		}
		well.Store(true)
		if _, err := g.Retry(soon(t), "kept", l.ID); err != nil {
			t.Fatal(err)
		}
		d, err := g.Get(soon(t), "kept", "all", last)
		if err != nil || string(d.Document) != `[{"n":2,"extra":"y"}]` {
			t.Errorf("%s, %v", d.Document, err)
		}
	})
}
