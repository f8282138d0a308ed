package bench

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The aggregate that is measured: a notebook whose pages are events of about
// 256 bytes.

type (
	command interface{ isCommand() }
	event   interface{ isEvent() }

	write struct {
		Note string `json:"note"`
	}
	written struct {
		Note string `json:"note"`
	}
	notebook struct {
		Pages int64 `json:"pages"`
	}
)

func (write) isCommand() {}
func (written) isEvent() {}

var errNothing = errors.New("nothing is written")

func (b notebook) decide(c command) ([]event, error) {
	w := c.(write)
	if w.Note == "" {
		return nil, errNothing
	}
	return []event{written(w)}, nil
}

func (b notebook) evolve(event) notebook {
	b.Pages++
	return b
}

// Notebooks is the aggregate of the benchmarks.
var Notebooks = actor.Aggregate[notebook, command, event]{
	Type: "notebook", Decide: notebook.decide, Evolve: notebook.evolve,
	Commands: store.NewTypes(map[string]command{"write": write{}}),
	Events:   store.NewTypes(map[string]event{"written": written{}}),
}

type pages struct {
	Count int `json:"count"`
}

// byNotebook is the view of the benchmarks: one document for each notebook.
var byNotebook = projector.Documents[event, pages]{
	Name: "pages", Types: []string{Notebooks.Type}, Events: Notebooks.Events,
	Keys: func(e store.Recorded[event]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, p pages, _ store.Recorded[event]) pages { p.Count++; return p },
}

const noteLen = 250

var page = write{Note: func() string {
	note := make([]byte, noteLen)
	for i := range note {
		note[i] = byte('a' + i%26)
	}
	return string(note)
}()}
