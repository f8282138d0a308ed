package people

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
)

// App is the application. With tables it keeps the table, which needs SQL; careless
// it has a view that copies what it says that it does not.
func App(tables, careless bool) node.App {
	views := []projector.Definition{People, Letters, Troubled, Counts(careless)}
	if tables {
		views = append(views, Registry)
	}
	return node.App{
		Name: "canary", Summary: "canary: an application full of personal data",
		Aggregates: []actor.Definition{Persons, Households}, Projections: views,
	}
}
