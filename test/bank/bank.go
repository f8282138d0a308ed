package bank

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Command is what an account can be asked.
//
//sumtype:decl
type Command interface{ isCommand() }

// Event is what can have happened to an account.
//
//sumtype:decl
type Event interface{ isEvent() }

type (
	// Open opens the account.
	Open struct {
		Owner string `json:"owner"`
	}
	// Deposit adds cents.
	Deposit struct {
		Cents int64 `json:"cents"`
	}
	// Withdraw takes cents that must be there.
	Withdraw struct {
		Cents int64 `json:"cents"`
	}
	// Opened says who owns the account.
	Opened struct {
		Owner string `json:"owner"`
	}
	// Deposited says how much was added.
	Deposited struct {
		Cents int64 `json:"cents"`
	}
	// Withdrawn says how much was taken.
	Withdrawn struct {
		Cents int64 `json:"cents"`
	}
)

func (Open) isCommand()     {}
func (Deposit) isCommand()  {}
func (Withdraw) isCommand() {}

func (Opened) isEvent()    {}
func (Deposited) isEvent() {}
func (Withdrawn) isEvent() {}

// Reasons for saying no.
var (
	ErrNotOpen      = errors.New("the account is not open")
	ErrAlreadyOpen  = errors.New("the account is open already")
	ErrInsufficient = errors.New("not that much in the account")
)

// Account is the state of an account.
type Account struct {
	Owner string `json:"owner"`
	Cents int64  `json:"cents"`
}

// Decide implements the aggregate.
func (a Account) Decide(c Command) ([]Event, error) {
	open := a.Owner != ""
	switch c := c.(type) {
	case Open:
		if open {
			return nil, ErrAlreadyOpen
		}
		return []Event{Opened(c)}, nil
	case Deposit:
		if !open {
			return nil, ErrNotOpen
		}
		return []Event{Deposited(c)}, nil
	case Withdraw:
		switch {
		case !open:
			return nil, ErrNotOpen
		case c.Cents > a.Cents:
			return nil, ErrInsufficient
		}
		return []Event{Withdrawn(c)}, nil
	}
	panic("unreachable")
}

// Evolve implements the aggregate.
func (a Account) Evolve(e Event) Account {
	switch e := e.(type) {
	case Opened:
		a.Owner = e.Owner
	case Deposited:
		a.Cents += e.Cents
	case Withdrawn:
		a.Cents -= e.Cents
	}
	return a
}

// Accounts is the aggregate.
var Accounts = actor.Aggregate[Account, Command, Event]{
	Type: "account", Decide: Account.Decide, Evolve: Account.Evolve,
	Commands: store.NewTypes(map[string]Command{"open": Open{}, "deposit": Deposit{}, "withdraw": Withdraw{}}),
	Events:   store.NewTypes(map[string]Event{"opened": Opened{}, "deposited": Deposited{}, "withdrawn": Withdrawn{}}),
}
