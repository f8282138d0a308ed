package gateway_test

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// The aggregate of these tests: an account that is opened and moved.

type command interface{ isCommand() }

type (
	open struct {
		Owner string `json:"owner"`
	}
	deposit struct {
		Cents int64 `json:"cents"`
	}
	withdraw struct {
		Cents int64 `json:"cents"`
	}
	crash struct{}
	touch struct{}
)

func (open) isCommand()     {}
func (deposit) isCommand()  {}
func (withdraw) isCommand() {}
func (crash) isCommand()    {}
func (touch) isCommand()    {}

type event interface{ isEvent() }

type (
	opened struct {
		Owner string `json:"owner"`
	}
	moved struct {
		Cents int64 `json:"cents"`
	}
)

func (opened) isEvent() {}
func (moved) isEvent()  {}

type account struct {
	Owner string `json:"owner"`
	Cents int64  `json:"cents"`
}

var (
	errNotOpen = errors.New("account is not open")
	errOpen    = errors.New("account is open\r\nalready")
	errPoor    = errors.New("insufficient funds")
)

func (a account) decide(c command) ([]event, error) {
	switch c := c.(type) {
	case open:
		if a.Owner != "" {
			return nil, errOpen
		}
		return []event{opened(c)}, nil
	case deposit:
		return a.move(c.Cents)
	case withdraw:
		return a.move(-c.Cents)
	case crash:
		panic("secret of the application")
	case touch:
		return nil, nil
	}
	panic("unreachable")
}

func (a account) move(cents int64) ([]event, error) {
	switch {
	case a.Owner == "":
		return nil, errNotOpen
	case a.Cents+cents < 0:
		return nil, errPoor
	}
	return []event{moved{cents}}, nil
}

func (a account) evolve(e event) account {
	switch e := e.(type) {
	case opened:
		a.Owner = e.Owner
	case moved:
		a.Cents += e.Cents
	}
	return a
}

var accounts = actor.Aggregate[account, command, event]{
	Type:   "account",
	Decide: account.decide,
	Evolve: account.evolve,
	Commands: store.NewTypes(map[string]command{
		"open": open{}, "deposit": deposit{}, "withdraw": withdraw{}, "crash": crash{}, "touch": touch{},
	}),
	Events: store.NewTypes(map[string]event{"opened": opened{}, "moved": moved{}}),
}
