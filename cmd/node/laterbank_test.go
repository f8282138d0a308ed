package node_test

import (
	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
)

// A later build of the bank: an account is opened under a name, what is
// deposited is credited, and a withdrawal is a debit and a fee.

type laterAccount struct {
	Name  string `json:"name"`
	Cents int64  `json:"cents"`
}

type (
	laterEvent interface{ isLaterEvent() }
	named      struct {
		Name string `json:"name"`
	}
	credited struct {
		Cents int64 `json:"cents"`
	}
	debited struct {
		Cents int64 `json:"cents"`
	}
	charged struct {
		Cents int64 `json:"cents"`
	}
)

func (named) isLaterEvent()    {}
func (credited) isLaterEvent() {}
func (debited) isLaterEvent()  {}
func (charged) isLaterEvent()  {}

func (a laterAccount) decide(c command) ([]laterEvent, error) {
	switch c := c.(type) {
	case open:
		return []laterEvent{named{Name: c.Owner}}, nil
	case deposit:
		return []laterEvent{credited(c)}, nil
	case withdraw:
		return []laterEvent{debited(c), charged{Cents: 1}}, nil
	}
	return nil, nil
}

func (a laterAccount) evolve(e laterEvent) laterAccount {
	switch e := e.(type) {
	case named:
		a.Name = e.Name
	case credited:
		a.Cents += e.Cents
	case debited:
		a.Cents -= e.Cents
	case charged:
		a.Cents -= e.Cents
	}
	return a
}

var laterAccounts = actor.Aggregate[laterAccount, command, laterEvent]{
	Type:     "account",
	Decide:   laterAccount.decide,
	Evolve:   laterAccount.evolve,
	Commands: accounts.Commands,
	Events: store.NewTypes(map[string]laterEvent{"opened": named{}, "credited": credited{}, "debited": debited{}, "charged": charged{}},
		store.Upcast("opened", 1, func(o opened) named { return named{Name: o.Owner} }),
		store.Upcast("deposited", 1, func(d deposited) credited { return credited(d) }),
		store.Rename("deposited", 2, "credited"),
		store.Split("withdrawn", 1, func(w withdrawn) []laterEvent { return []laterEvent{debited(w), charged{Cents: 1}} })),
}

var laterBank = node.App{Name: "laterbank", Aggregates: []actor.Definition{laterAccounts}}
