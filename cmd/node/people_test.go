package node_test

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// people is an application with personal data: members of a club, under numbers of theirs.

type person struct {
	Number    string         `json:"number"`
	Name      string         `json:"name,omitempty" personal:"number"`
	Points    int            `json:"points"`
	Forgotten store.Shredded `json:"-"`
}

type (
	peopleCommand interface{ isPeopleCommand() }
	join          struct {
		Number string `json:"number"`
		Name   string `json:"name,omitempty" personal:"number"`
	}
	score struct {
		Points int `json:"points"`
	}
)

func (join) isPeopleCommand()  {}
func (score) isPeopleCommand() {}

type (
	peopleEvent interface{ isPeopleEvent() }
	joined      struct {
		Number    string         `json:"number"`
		Name      string         `json:"name,omitempty" personal:"number"`
		Forgotten store.Shredded `json:"-"`
	}
	scored struct {
		Points int `json:"points"`
	}
)

func (joined) isPeopleEvent() {}
func (scored) isPeopleEvent() {}

func (p person) decide(c peopleCommand) ([]peopleEvent, error) {
	switch c := c.(type) {
	case join:
		return []peopleEvent{joined{Number: c.Number, Name: c.Name}}, nil
	case score:
		return []peopleEvent{scored(c)}, nil
	}
	return nil, nil
}

func (p person) evolve(e peopleEvent) person {
	switch e := e.(type) {
	case joined:
		p.Number, p.Name, p.Forgotten = e.Number, e.Name, e.Forgotten
	case scored:
		p.Points += e.Points
	}
	return p
}

var members = actor.Aggregate[person, peopleCommand, peopleEvent]{
	Type:     "member",
	Decide:   person.decide,
	Evolve:   person.evolve,
	Commands: store.NewTypes(map[string]peopleCommand{"join": join{}, "score": score{}}),
	Events:   store.NewTypes(map[string]peopleEvent{"joined": joined{}, "scored": scored{}}),
}

// roll is who is a member.
var roll = projector.Documents[peopleEvent, person]{
	Name:   "roll",
	Types:  []string{members.Type},
	Events: members.Events,
	Keys:   func(e store.Recorded[peopleEvent]) []string { return []string{e.Stream.ID} },
	Fold:   func(_ string, p person, e store.Recorded[peopleEvent]) person { return p.evolve(e.Data) },
}

var people = node.App{Name: "people", Aggregates: []actor.Definition{members}, Projections: []projector.Definition{roll}}
