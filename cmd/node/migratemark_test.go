package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

type guestEvent interface{ isGuestEvent() }

type arrived struct {
	Name string `json:"name,omitempty" personal:"@id"`
	Room int    `json:"room"`
}

type moved struct {
	Room int `json:"room"`
}

func (arrived) isGuestEvent() {}
func (moved) isGuestEvent()   {}

var guests = actor.Aggregate[int, struct{}, guestEvent]{
	Type:     "guest",
	Decide:   func(int, struct{}) ([]guestEvent, error) { return nil, nil },
	Evolve:   func(room int, _ guestEvent) int { return room },
	Commands: store.NewTypes(map[string]struct{}{"arrive": {}}),
	Events:   store.NewTypes(map[string]guestEvent{"arrived": arrived{}, "moved": moved{}}),
}

// Of what a transformation changes, the types of this build say what is personal, and not
// the places in what was read; where there are no types, it has to say so itself.
func TestTransformedEventsAreMarkedAnew(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		types, err := newIntake(codec, App{Aggregates: []actor.Definition{guests}}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		encode := func(e guestEvent) store.Event {
			t.Helper()
			encoded, err := guests.Events.Encode(codec, e)
			if err != nil {
				t.Fatal(err)
			}
			return encoded.Event(0)
		}
		ann, far := encode(arrived{Name: "Ann", Room: 7}), encode(moved{Room: 7})
		longer := encode(arrived{Name: "Ann of the far end", Room: 12345})
		set := func(data []byte, personal ...store.Personal) func(*store.Event) {
			return func(e *store.Event) { e.Data, e.Personal = data, personal }
		}
		for name, c := range map[string]struct {
			aggregate, event string
			change           func(e *store.Event)
			want             []store.Personal
			refused          bool
		}{
			"nothing changed":                       {"guest", "arrived", func(*store.Event) {}, ann.Personal, false},
			"another text":                          {"guest", "arrived", func(e *store.Event) { e.Data = longer.Data }, longer.Personal, false},
			"no name, in the same place":            {"guest", "moved", func(e *store.Event) { e.Type, e.Data = far.Type, far.Data }, nil, false},
			"nothing changed, and no types":         {"stranger", "arrived", func(*store.Event) {}, ann.Personal, false},
			"another text, and no types":            {"stranger", "arrived", func(e *store.Event) { e.Data = longer.Data }, nil, true},
			"another text, of no type":              {"guest", "unheard", func(e *store.Event) { e.Type, e.Data = "unheard", longer.Data }, nil, true},
			"another text, and it says which":       {"stranger", "arrived", set(longer.Data, longer.Personal...), longer.Personal, false},
			"another text, and it says so in place": {"stranger", "arrived", func(e *store.Event) { e.Data, e.Personal = longer.Data, append(e.Personal[:0], longer.Personal...) }, longer.Personal, false},
			"another text, and nothing is left":     {"stranger", "arrived", set(far.Data), nil, false},
			"written over where it was":             {"stranger", "arrived", func(e *store.Event) { e.Data[len(e.Data)-2]++ }, nil, true},
		} {
			e := ann
			e.Data, e.Personal = bytes.Clone(ann.Data), slices.Clone(ann.Personal)
			commit := &store.Commit{Stream: store.StreamID{Type: c.aggregate, ID: "1"}, Events: []store.Event{e}}
			err := marked(func(_ store.Codec, m *store.Commit) error { c.change(&m.Events[0]); return nil }, types)(codec, commit)
			if _, failed := errors.AsType[*Failure](err); failed != c.refused || err != nil && !failed {
				t.Errorf("%s: %v, want it refused: %t", name, err, c.refused)
			}
			got := commit.Events[0]
			if err == nil && (got.Type != c.event || !samePlaces(got.Personal, c.want)) {
				t.Errorf("%s: %s has %v personal, want %v", name, got.Type, got.Personal, c.want)
			}
		}
	}
}

// Spans that were set in place for one of two copies of an event say nothing of the other.
func TestSpansOfTwoEventsAreNotGuessed(t *testing.T) {
	t.Parallel()
	types, err := newIntake(store.JSON, App{Aggregates: []actor.Definition{guests}}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	read := store.Event{Type: "told", Data: []byte(`{"a":"Ann","b":1}`), Personal: []store.Personal{{Path: "a", Start: 5, End: 10}}}
	commit := &store.Commit{Stream: store.StreamID{Type: "stranger", ID: "1"}, Events: []store.Event{read}}
	split := func(_ store.Codec, c *store.Commit) error {
		one, two := c.Events[0], c.Events[0]
		one.Data, one.Personal = []byte(`{"b":1,"a":"Ann"}`), append(one.Personal[:0], store.Personal{Path: "a", Start: 11, End: 16})
		two.Data = []byte(`{"c":{"a":"Ann"}}`)
		c.Events = []store.Event{one, two}
		return nil
	}
	if _, refused := errors.AsType[*Failure](marked(split, types)(store.JSON, commit)); !refused {
		t.Errorf("taken: %+v", commit.Events)
	}
}

func samePlaces(a, b []store.Personal) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Path != b[i].Path || a[i].Start != b[i].Start || a[i].End != b[i].End {
			return false
		}
	}
	return true
}
