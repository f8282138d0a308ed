//go:build linux

package main

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The views that are built again.
const (
	viewApplications = "applications"
	viewMarked       = "marked"
)

// app is the loans example with one more view, in two versions.
var app = node.App{
	Name:        "loans",
	Aggregates:  []actor.Definition{application.Applications},
	Projections: append(views.All(), marked(1), marked(2)),
}

// mark is a document that says which version of the view it is of.
type mark struct {
	Version int `json:"version"`
	Events  int `json:"events"`
}

func marked(version int) projector.Documents[application.Event, mark] {
	return projector.Documents[application.Event, mark]{
		Name: viewMarked, Version: version,
		Impersonal: true, // numbers only
		Types:      []string{application.Applications.Type},
		Events:     application.Applications.Events,
		Keys:       func(e store.Recorded[application.Event]) []string { return []string{e.Stream.ID} },
		Fold: func(_ string, d mark, _ store.Recorded[application.Event]) mark {
			return mark{Version: version, Events: d.Events + 1}
		},
	}
}
