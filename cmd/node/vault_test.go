package node_test

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// vault is a bank with a view that does not take every event.
var vault = node.App{
	Name:        "vault",
	Version:     "v1.2.3",
	Summary:     "vault: accounts, and a view that fails",
	Aggregates:  []actor.Definition{accounts},
	Projections: []projector.Definition{turnovers, balances},
}

// balances is the balance of each account; 13 cents are too much for it.
var balances = projector.Documents[event, account]{
	Name:   "balances",
	Types:  []string{accounts.Type},
	Events: accounts.Events,
	Keys:   func(e store.Recorded[event]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, a account, e store.Recorded[event]) account {
		if d, is := e.Data.(deposited); is && d.Cents == 13 {
			panic("unlucky")
		}
		return a.evolve(e.Data)
	},
}
