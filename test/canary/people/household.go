package people

import (
	"maps"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Member is a person in a list.
type Member struct {
	ID   string `json:"id"`
	Name string `json:"name" personal:"id"`
}

type (
	// Note is about a person, and names others.
	Note struct {
		About   string         `json:"about"`
		Text    string         `json:"text" personal:"about"`
		Members []Member       `json:"members"`
		Gone    store.Shredded `json:"-"`
	}
	// Noted is what Note leads to.
	Noted struct {
		About   string         `json:"about"`
		Text    string         `json:"text" personal:"about"`
		Members []Member       `json:"members"`
		Gone    store.Shredded `json:"-"`
	}
)

func (Note) isCommand() {}
func (Noted) isEvent()  {}

// Household is the state of a household: the last note about each person.
type Household struct {
	Notes map[string]string `json:"notes"`
	Count int               `json:"count"`
}

// Decide implements the aggregate.
func (h Household) Decide(c Command) ([]Event, error) {
	if c, ok := c.(Note); ok {
		return []Event{Noted(c)}, nil
	}
	panic("a command of another aggregate")
}

// Evolve implements the aggregate.
func (h Household) Evolve(e Event) Household {
	n, ok := e.(Noted)
	if !ok {
		return h
	}
	if h.Notes = maps.Clone(h.Notes); h.Notes == nil {
		h.Notes = map[string]string{}
	}
	h.Notes[n.About] = n.Text
	h.Count++
	return h
}

// Households is the aggregate.
var Households = actor.Aggregate[Household, Command, Event]{
	Type: "household", Decide: Household.Decide, Evolve: Household.Evolve,
	Commands: store.NewTypes(map[string]Command{"note": Note{}}),
	Events:   store.NewTypes(map[string]Event{"noted": Noted{}}),
}
