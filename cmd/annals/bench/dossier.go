package bench

import (
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// The aggregates that tell what personal data cost: two with the same events, commands
// and states, of the same bytes, and in one of them name and address are a person's.

type (
	note interface{ isNote() }

	// patientNoted has two personal fields, articleNoted has none.
	patientNoted struct {
		Person string `json:"person"`
		Name   string `json:"name" personal:"person"`
		Street string `json:"street" personal:"person"`
		Text   string `json:"text"`
	}
	articleNoted struct {
		Person string `json:"person"`
		Name   string `json:"name"`
		Street string `json:"street"`
		Text   string `json:"text"`
	}

	add interface{ isAdd() }
	// addNote is as long as an event, and not kept.
	addNote struct {
		Person string `json:"person"`
		Text   string `json:"text"`
	}

	dossier struct {
		Notes  int64  `json:"notes"`
		Name   string `json:"name"`
		Street string `json:"street"`
	}
)

func (patientNoted) isNote() {}
func (articleNoted) isNote() {}
func (addNote) isAdd()       {}

const (
	aName   = "Alexandra Johanna van der Meer"
	aStreet = "Oudezijds Voorburgwal 274, 1012 GL Amsterdam"
)

func (d dossier) decidePatient(c add) ([]note, error) {
	a := c.(addNote)
	return []note{patientNoted{Person: a.Person, Name: aName, Street: aStreet, Text: a.Text}}, nil
}

func (d dossier) decideArticle(c add) ([]note, error) {
	a := c.(addNote)
	return []note{articleNoted{Person: a.Person, Name: aName, Street: aStreet, Text: a.Text}}, nil
}

func (d dossier) evolve(e note) dossier {
	var noted articleNoted
	switch e := e.(type) {
	case patientNoted:
		noted = articleNoted(e)
	case articleNoted:
		noted = e
	}
	return dossier{Notes: d.Notes + 1, Name: noted.Name, Street: noted.Street}
}

var adds = store.NewTypes(map[string]add{"add": addNote{}})

// patients have personal fields, articles have the same ones, and nobody's.
var (
	patients = actor.Aggregate[dossier, add, note]{
		Type: "patient", Decide: dossier.decidePatient, Evolve: dossier.evolve, Commands: adds,
		Events: store.NewTypes(map[string]note{"noted": patientNoted{}}),
	}
	articles = actor.Aggregate[dossier, add, note]{
		Type: "article", Decide: dossier.decideArticle, Evolve: dossier.evolve, Commands: adds,
		Events: store.NewTypes(map[string]note{"noted": articleNoted{}}),
	}
)

func dossierID(n int) string { return fmt.Sprint("dossier-", n) }

// noteOf is the command for a dossier, which is one person's.
func noteOf(n int) addNote {
	return addNote{Person: fmt.Sprint("person-", n), Text: page.Note[:130]}
}
