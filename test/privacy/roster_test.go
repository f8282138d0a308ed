package privacy_test

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// The aggregate: a roster of people with their names, which are copied into other events,
// about the same people and about others, whenever somebody asks for it.

type (
	command interface{ isCommand() }
	event   interface{ isEvent() }

	join struct {
		Person string `json:"person"`
		Name   string `json:"name" personal:"person"`
	}
	greet  struct{ Person string }
	recite struct{} // says who is there
	tick   struct{}
	refuse struct{} // with all names

	joined struct {
		Person string         `json:"person"`
		Name   string         `json:"name" personal:"person"`
		Gone   store.Shredded `json:"-"`
	}
	greeted struct {
		Person string `json:"person"`
		Text   string `json:"text" personal:"person"`
	}
	recited struct {
		Present []present      `json:"present"`
		Gone    store.Shredded `json:"-"`
	}
	present struct {
		Person string   `json:"person"`
		Names  []string `json:"names,omitempty" personal:"person"`
	}
	ticked struct{}
)

func (join) isCommand()   {}
func (greet) isCommand()  {}
func (recite) isCommand() {}
func (tick) isCommand()   {}
func (refuse) isCommand() {}
func (joined) isEvent()   {}
func (greeted) isEvent()  {}
func (recited) isEvent()  {}
func (ticked) isEvent()   {}

type roster struct {
	Names map[string]string `json:"names"`
	Heard map[string]string `json:"heard"` // what was said of whom last
	Ticks int               `json:"ticks"`
}

func (r roster) decide(c command) ([]event, error) {
	switch c := c.(type) {
	case join:
		return []event{joined{Person: c.Person, Name: c.Name}}, nil
	case greet:
		return []event{greeted{Person: c.Person, Text: "hello " + r.Names[c.Person]}}, nil
	case recite:
		var all []present
		for _, person := range slices.Sorted(maps.Keys(r.Names)) {
			all = append(all, present{Person: person, Names: []string{r.Names[person], r.Heard[person]}})
		}
		return []event{recited{Present: all}, ticked{}}, nil
	case tick:
		return []event{ticked{}}, nil
	case refuse:
		return nil, errors.New(strings.Join(slices.Sorted(maps.Values(r.Names)), ", "))
	}
	return nil, nil
}

func (r roster) evolve(e event) roster {
	if r.Names == nil {
		r.Names, r.Heard = map[string]string{}, map[string]string{}
	}
	switch e := e.(type) {
	case joined:
		r.Names[e.Person] = e.Name
	case greeted:
		r.Heard[e.Person] = e.Text
	case recited:
		for _, p := range e.Present {
			r.Heard[p.Person] = strings.Join(p.Names, " and ")
		}
	case ticked:
		r.Ticks++
	}
	return r
}

var rosters = actor.Aggregate[roster, command, event]{
	Type: "roster", Decide: roster.decide, Evolve: roster.evolve,
	Commands: store.NewTypes(map[string]command{
		"join": join{}, "greet": greet{}, "recite": recite{}, "tick": tick{}, "refuse": refuse{},
	}),
	Events: store.NewTypes(map[string]event{
		"joined": joined{}, "greeted": greeted{}, "recited": recited{}, "ticked": ticked{},
	}),
}
