package projector_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// illCards is cards that fails at the events of a person, and tells what it saw.
func illCards(name, ill string, panics bool, healed *atomic.Bool) projector.Documents[club, card] {
	v := cards(name)
	fold := v.Fold
	v.Fold = func(key string, d card, e store.Recorded[club]) card {
		if data, ok := e.Data.(joined); ok && data.Owner == ill && !healed.Load() {
			if panics {
				panic(fmt.Errorf("cannot bear %s with %v", data.Name, d))
			}
			panic("cannot bear " + data.Name)
		}
		return fold(key, d, e)
	}
	return v
}

// What failed at a person's event tells nothing of the person: not in the letter, not
// in the log, not to who asks. Operators see the event itself through the log.
func TestLettersTellNothingPersonal(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]bool{"a text": false, "an error": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, log, healed := newWorld(t), &logged{}, &atomic.Bool{}
				g := w.group(t, projector.Config{Projections: []projector.Definition{illCards("cards", "ann", panics, healed)}, Logger: log.logger()})
				running(t, g)
				last := w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
				w.append("golf", joined{Owner: "bob", Name: mark("bob", 1)})
				if err := g.Wait(soon(t), "cards", last); err != nil {
					t.Fatal(err)
				}
				l := onlyLetter(t, g, "cards")
				if strings.Contains(l.Error, marks) || !strings.Contains(l.Error, "withheld") || l.Kind != projector.KindHandler || l.At != 1 || l.Event != "joined" {
					t.Errorf("letter is %+v", l)
				}
				events, err := g.LetterEvents(soon(t), "cards", l.ID, 0)
				if err != nil || !strings.Contains(string(events[0].Data), mark("ann", 1)) || events[0].Shredded != nil {
					t.Errorf("events are %+v, %v", events, err)
				}
				w.forget("ann")
				events, err = g.LetterEvents(soon(t), "cards", l.ID, 0)
				if err != nil || holdsMark(string(events[0].Data), "ann") || len(events[0].Shredded) != 1 || events[0].Shredded[0] != "name" || len(events) != 2 {
					t.Errorf("events after the forgetting are %+v, %v", events, err)
				}
				healed.Store(true)
				if l, err := g.Retry(soon(t), "cards", l.ID); err != nil || l.ID != "" {
					t.Errorf("retried: %+v, %v", l, err)
				}
				c, text := cardOf(t, g, "cards", "bob", 0)
				if c.Name != mark("bob", 1) {
					t.Errorf("bob, who waited behind, is %s", text)
				}
				if strings.Contains(log.String(), marks) {
					t.Errorf("logged: %s", log)
				}
			})
		})
	}
}

// What an operator puts in the place of an event is kept sealed, is shown in plain while
// the person is there, and has no more than the event itself when not.
func TestEditsAreSealed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, healed := newWorld(t), &atomic.Bool{}
		g := w.group(t, projector.Config{Projections: []projector.Definition{illCards("cards", "ann", false, healed)}})
		running(t, g)
		last := w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
		if err := g.Wait(soon(t), "cards", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "cards")
		edit := func(name string) error {
			data := json.RawMessage(fmt.Sprintf(`{"owner":"ann","name":%q}`, name))
			return g.Edit(soon(t), "cards", l.ID, 1, data, "olive")
		}
		if err := edit(mark("ann", 2)); err != nil {
			t.Fatal(err)
		}
		if got := onlyLetter(t, g, "cards"); !strings.Contains(string(got.Edited), mark("ann", 2)) || got.By != "olive" {
			t.Errorf("edited to %s by %s", got.Edited, got.By)
		}
		if err := g.Edit(soon(t), "cards", l.ID, 1, json.RawMessage(`{"owner":"ann","name":{"annals:sealed":"AQID"}}`), "olive"); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("what looks sealed was taken: %v", err)
		}
		w.forget("ann")
		if got := onlyLetter(t, g, "cards"); strings.Contains(string(got.Edited), marks) || !strings.Contains(string(got.Edited), "ann") {
			t.Errorf("after the forgetting it is edited to %s", got.Edited)
		}
		if err := edit(mark("ann", 3)); !errors.Is(err, store.ErrInvalid) || strings.Contains(err.Error(), marks) {
			t.Errorf("who was forgotten is edited in again: %v", err)
		}
		healed.Store(true)
		if l, err := g.Retry(soon(t), "cards", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		if c, text := cardOf(t, g, "cards", "ann", 0); c.Owner != "ann" || c.Name != "" {
			t.Errorf("ann is %s", text)
		}
	})
}

// An edit that is applied before the forgetting goes with it: the document is sealed
// under the key that the event came in with.
func TestAnAppliedEditIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, healed := newWorld(t), &atomic.Bool{}
		g := w.group(t, projector.Config{Projections: []projector.Definition{illCards("cards", "ann", false, healed)}})
		running(t, g)
		last := w.append("golf", joined{Owner: "ann", Name: mark("ann", 1)})
		if err := g.Wait(soon(t), "cards", last); err != nil {
			t.Fatal(err)
		}
		l := onlyLetter(t, g, "cards")
		if err := g.Edit(soon(t), "cards", l.ID, 1, json.RawMessage(`{"owner":"ann","name":"`+mark("ann", 2)+`","tags":["x"]}`), "olive"); err != nil {
			t.Fatal(err)
		}
		healed.Store(true)
		if l, err := g.Retry(soon(t), "cards", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		if c, text := cardOf(t, g, "cards", "ann", 0); c.Name != mark("ann", 2) {
			t.Errorf("ann is %s", text)
		}
		w.forget("ann")
		if c, text := cardOf(t, g, "cards", "ann", 0); c.Name != "" || len(c.Tags) != 0 || strings.Contains(text, marks) {
			t.Errorf("forgotten ann is %s", text)
		}
		record, err := w.keys.Load(soon(t), "ann")
		if err != nil || record.Key != (store.KeyID{}) {
			t.Errorf("ann has a key again: %+v, %v", record, err)
		}
	})
}

// A handler that fails at a notice parks the notice, and nothing else.
func TestANoticeThatCannotBeHandledWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, healed := newWorld(t), &atomic.Bool{}
		v := told("told")
		handler := v.Forgotten
		v.Forgotten = func(key string, d card, n privacy.Notice) card {
			if !healed.Load() {
				panic("not now")
			}
			return handler(key, d, n)
		}
		g := w.group(t, projector.Config{Projections: []projector.Definition{v}})
		running(t, g)
		var last store.Position
		for i := range 1200 { // more than a page
			last = w.append(fmt.Sprintf("golf%d", i), joined{Owner: "ann", Name: mark("ann", 1)})
		}
		if err := g.Wait(soon(t), "told", last); err != nil {
			t.Fatal(err)
		}
		w.forget("ann")
		last = w.append("golf1", cleaned{Rooms: 1})
		if c, text := cardOf(t, g, "told", "golf1", last); c.Rooms != 1 || strings.Contains(text, marks) || len(c.Told) != 0 {
			t.Errorf("golf1 is %s", text)
		}
		l := onlyLetter(t, g, "told")
		if l.Stream.ID != "ann" || l.Event != "forgotten" {
			t.Errorf("letter is %+v", l)
		}
		healed.Store(true)
		if l, err := g.Retry(soon(t), "told", l.ID); err != nil || l.ID != "" {
			t.Errorf("retried: %+v, %v", l, err)
		}
		docs := listed(t, g, "told", 0)
		for key, text := range docs {
			if strings.Count(text, `"told":["ann"]`) != 1 {
				t.Errorf("document %s is %s", key, text)
			}
		}
		if len(docs) != 1201 {
			t.Errorf("%d documents", len(docs))
		}
	})
}
