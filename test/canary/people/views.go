package people

import (
	"fmt"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Entry is a document about a person; its key is the person's id.
type Entry struct {
	Details Details  `json:"details"`
	Names   []string `json:"names" personal:"@id"`
	Touches int      `json:"touches"`
}

// People has a document for each person.
var People = projector.Documents[Event, Entry]{
	Name: "people", Types: []string{Persons.Type}, Events: Persons.Events,
	Keys: ofStream,
	Fold: func(_ string, d Entry, e store.Recorded[Event]) Entry {
		p := Person(d).Evolve(e.Data)
		return Entry(p)
	},
}

func ofStream(e store.Recorded[Event]) []string { return []string{e.Stream.ID} }

// Letter is a document about several persons; its key is a household.
type Letter struct {
	Lines []Line `json:"lines"`
	Count int    `json:"count"`
}

// Line is about one of them.
type Line struct {
	Person string `json:"person"`
	Text   string `json:"text" personal:"person"`
}

// maxLines bounds a document.
const maxLines = 60

// Letters has a document for each household.
var Letters = projector.Documents[Event, Letter]{
	Name: "letters", Types: []string{Households.Type}, Events: Households.Events,
	Keys: ofStream,
	Fold: func(_ string, d Letter, e store.Recorded[Event]) Letter {
		n := e.Data.(Noted)
		d.Count++
		d.Lines = append(d.Lines, Line{n.About, n.Text})
		for _, m := range n.Members {
			d.Lines = append(d.Lines, Line{m.ID, m.Name})
		}
		d.Lines = d.Lines[max(0, len(d.Lines)-maxLines):]
		return d
	},
}

// Last is what troubled knows of a person.
type Last struct {
	Name string `json:"name" personal:"@id"`
}

// Troubled fails at names that make trouble, and says which it was.
var Troubled = projector.Documents[Event, Last]{
	Name: "troubled", Types: []string{Persons.Type}, Events: Persons.Events,
	Keys: ofStream,
	Fold: func(_ string, d Last, e store.Recorded[Event]) Last {
		n, ok := e.Data.(Renamed)
		if !ok {
			return d
		}
		if n.Trouble && n.Name != "" {
			panic(fmt.Sprintf("no name for anybody: %s", n.Name))
		}
		return Last{n.Name}
	},
}

// Tally counts what happened to a person. Careless is empty, unless it is not.
type Tally struct {
	Events   int    `json:"events"`
	Careless string `json:"careless,omitempty"`
}

// Counts has a document for each person, and says that there is nothing personal in
// it. If it is careless, that is not so.
func Counts(careless bool) projector.Documents[Event, Tally] {
	return projector.Documents[Event, Tally]{
		Name: "counts", Types: []string{Persons.Type}, Events: Persons.Events, Impersonal: true,
		Keys: ofStream,
		Fold: func(_ string, d Tally, e store.Recorded[Event]) Tally {
			d.Events++
			if r, ok := e.Data.(Registered); ok && careless {
				d.Careless = r.Name
			}
			return d
		},
	}
}
