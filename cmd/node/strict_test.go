package node_test

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// strictBank is a next build of bank, with another rule: ten cents must stay in
// an account.
var strictBank = node.App{Name: "bank", Aggregates: []actor.Definition{strictAccounts}, Projections: []projector.Definition{turnovers}}

var strictAccounts = func() actor.Aggregate[account, command, event] {
	a := accounts
	a.Decide = func(s account, c command) ([]event, error) {
		if w, ok := c.(withdraw); ok && s.Cents-w.Cents < 10 {
			return nil, errors.New("ten cents must stay")
		}
		return s.decide(c)
	}
	return a
}()

// brokenBank is a build whose deposits cannot be what they were.
var brokenBank = node.App{Name: "bank", Aggregates: []actor.Definition{brokenAccounts}, Projections: []projector.Definition{turnovers}}

// paidIn is a deposit with another type of amount.
type paidIn struct {
	Cents string `json:"cents"`
}

func (paidIn) isEvent() {}

var brokenAccounts = func() actor.Aggregate[account, command, event] {
	a := accounts
	a.Events = store.NewTypes(map[string]event{"opened": opened{}, "deposited": paidIn{}, "withdrawn": withdrawn{}})
	return a
}()
