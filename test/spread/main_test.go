//go:build linux

package spread

import (
	"fmt"
	"os"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// TestMain is a node if that is what the program was started as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		node.Main(app)
	}
	os.Exit(m.Run())
}

var app = node.App{Name: "loans", Aggregates: []actor.Definition{application.Applications}, Projections: []projector.Definition{tallies}}

// badItem is an item of work that the view cannot be told of until it is healed.
const badItem = "bad"

// tally counts events, by what they are about.
type tally struct {
	Events int            `json:"events"`
	Items  map[string]int `json:"items,omitempty"`
}

// tallies has one document for each application, and one for each item, of all
// applications.
var tallies = projector.Documents[application.Event, tally]{
	Name: "tallies", Types: []string{application.Applications.Type}, Events: application.Applications.Events, Workers: 3,
	Impersonal: true, // numbers only
	Keys: func(e store.Recorded[application.Event]) []string {
		if work, ok := e.Data.(application.WorkScheduled); ok {
			return []string{e.Stream.ID, "item " + work.Item}
		}
		return []string{e.Stream.ID}
	},
	Fold: func(_ string, d tally, e store.Recorded[application.Event]) tally {
		d.Events++
		work, ok := e.Data.(application.WorkScheduled)
		if !ok {
			return d
		}
		if work.Item == badItem && !healed() {
			panic(fmt.Sprintf("%s cannot be told of", e.Stream))
		}
		if d.Items == nil {
			d.Items = map[string]int{}
		}
		d.Items[work.Item]++
		return d
	},
}

// cure is the file that heals what fails, on all nodes at once.
func cure() string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return self + ".cure"
}

func healed() bool {
	_, err := os.Stat(cure())
	return err == nil
}
