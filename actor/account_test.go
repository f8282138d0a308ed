package actor_test

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// The aggregate of this package's tests: an account that must be opened, never
// overdrawn, and that can be made to misbehave.

type (
	command interface{ isCommand() }
	event   interface{ isEvent() }

	open struct {
		Owner string `json:"owner"`
	}
	deposit struct {
		Cents int64 `json:"cents"`
	}
	withdraw struct {
		Cents int64 `json:"cents"`
	}
	touch   struct{}        // decides nothing
	explode struct{}        // Decide panics
	corrupt struct{}        // Evolve panics
	scatter struct{ N int } // decides N deposits of one cent
	opened  struct {
		Owner string `json:"owner"`
	}
	deposited struct {
		Cents int64 `json:"cents"`
	}
	withdrawn struct {
		Cents int64 `json:"cents"`
	}
	corrupted struct{}
)

func (open) isCommand()     {}
func (deposit) isCommand()  {}
func (withdraw) isCommand() {}
func (touch) isCommand()    {}
func (explode) isCommand()  {}
func (corrupt) isCommand()  {}
func (scatter) isCommand()  {}

func (opened) isEvent()    {}
func (deposited) isEvent() {}
func (withdrawn) isEvent() {}
func (corrupted) isEvent() {}

var (
	errNotOpen      = errors.New("the account is not open")
	errAlreadyOpen  = errors.New("the account is open already")
	errInsufficient = errors.New("not that much in the account")
)

type account struct {
	Owner string           `json:"owner"`
	Cents int64            `json:"cents"`
	Seen  map[string]int64 `json:"seen,omitempty"` // a map that Evolve reuses
}

func (a account) decide(c command) ([]event, error) {
	if o, ok := c.(open); ok {
		if a.Owner != "" {
			return nil, errAlreadyOpen
		}
		return []event{opened(o)}, nil
	}
	if a.Owner == "" {
		return nil, errNotOpen
	}
	switch c := c.(type) {
	case deposit:
		return []event{deposited(c)}, nil
	case withdraw:
		if c.Cents > a.Cents {
			return nil, fmt.Errorf("%w: %d < %d", errInsufficient, a.Cents, c.Cents)
		}
		return []event{withdrawn(c)}, nil
	case explode:
		panic("boom")
	case corrupt:
		return []event{corrupted{}}, nil
	case scatter:
		events := make([]event, c.N)
		for i := range events {
			events[i] = deposited{Cents: 1}
		}
		return events, nil
	}
	return nil, nil
}

func (a account) evolve(e event) account {
	if a.Seen == nil {
		a.Seen = make(map[string]int64)
	}
	a.Seen[fmt.Sprintf("%T", e)]++
	switch e := e.(type) {
	case opened:
		a.Owner = e.Owner
	case deposited:
		a.Cents += e.Cents
	case withdrawn:
		a.Cents -= e.Cents
	case corrupted:
		panic("state is beyond repair")
	}
	return a
}

var accounts = actor.Aggregate[account, command, event]{
	Type: "account", Decide: account.decide, Evolve: account.evolve,
	Commands: store.NewTypes(map[string]command{
		"open": open{}, "deposit": deposit{}, "withdraw": withdraw{}, "touch": touch{},
		"explode": explode{}, "corrupt": corrupt{}, "scatter": scatter{},
	}),
	Events: store.NewTypes(map[string]event{
		"opened": opened{}, "deposited": deposited{}, "withdrawn": withdrawn{}, "corrupted": corrupted{},
	}),
	Merge: func(c command, since []event) bool {
		_, deposits := c.(deposit)
		for _, e := range since {
			_, commutes := e.(deposited)
			deposits = deposits && commutes
		}
		return deposits
	},
}
