package main

import (
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/cmd/node"
)

// app is all that makes a node the loan book.
var app = node.App{
	Name:        "loans",
	Summary:     "loans: a bank's loan applications, the example of Annals",
	Aggregates:  []actor.Definition{application.Applications},
	Projections: views.All(),
	Commands: func(s *node.Session) []*cobra.Command {
		return []*cobra.Command{newImport(s), newSample(s)}
	},
	Try: `nats req loans.cmd.application.42.submit '{"amount": 15000}'`,
}

func main() { node.Main(app) }
