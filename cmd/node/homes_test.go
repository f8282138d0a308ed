package node_test

import (
	"maps"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// homes is an application in whose events several persons stand.

type dweller struct {
	ID   string `json:"id"`
	Name string `json:"name" personal:"id"`
}

type note struct {
	About   string    `json:"about"`
	Text    string    `json:"text" personal:"about"`
	Members []dweller `json:"members,omitempty"`
	House   string    `json:"house,omitempty" personal:"@id"`
}

type home struct {
	Count int `json:"count"`
}

func (home) decide(c note) ([]note, error) { return []note{c}, nil }
func (h home) evolve(note) home            { h.Count++; return h }

var households = actor.Aggregate[home, note, note]{
	Type:     "household",
	Decide:   home.decide,
	Evolve:   home.evolve,
	Commands: store.NewTypes(map[string]note{"note": {}}),
	Events:   store.NewTypes(map[string]note{"noted": {}}),
}

// board has what was noted about each person, by number.
type board struct {
	Notes map[string]note `json:"notes,omitempty"`
}

// unbearable is a text that the view cannot apply.
const unbearable = "unbearable"

var boards = projector.Documents[note, board]{
	Name:   "boards",
	Types:  []string{households.Type},
	Events: households.Events,
	Keys:   func(e store.Recorded[note]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, b board, e store.Recorded[note]) board {
		if e.Data.Text == unbearable {
			panic(unbearable)
		}
		if b.Notes = maps.Clone(b.Notes); b.Notes == nil {
			b.Notes = map[string]note{}
		}
		b.Notes[e.Data.About] = e.Data
		return b
	},
}

var homes = node.App{Name: "homes", Aggregates: []actor.Definition{households}, Projections: []projector.Definition{boards}}
