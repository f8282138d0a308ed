package node_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The application that the scripts run: accounts with a balance.

type account struct {
	Owner string `json:"owner"`
	Cents int64  `json:"cents"`
}

type (
	command interface{ isCommand() }
	open    struct {
		Owner string `json:"owner"`
	}
	deposit struct {
		Cents int64 `json:"cents"`
	}
	withdraw struct {
		Cents int64 `json:"cents"`
	}
)

func (open) isCommand()     {}
func (deposit) isCommand()  {}
func (withdraw) isCommand() {}

type (
	event  interface{ isEvent() }
	opened struct {
		Owner string `json:"owner"`
	}
	deposited struct {
		Cents int64 `json:"cents"`
	}
	withdrawn struct {
		Cents int64 `json:"cents"`
	}
)

func (opened) isEvent()    {}
func (deposited) isEvent() {}
func (withdrawn) isEvent() {}

func (a account) decide(c command) ([]event, error) {
	switch c := c.(type) {
	case open:
		if a.Owner != "" {
			return nil, errors.New("the account is open already")
		}
		return []event{opened(c)}, nil
	case deposit:
		return []event{deposited(c)}, nil
	case withdraw:
		if c.Cents > a.Cents {
			return nil, errors.New("not enough money")
		}
		return []event{withdrawn(c)}, nil
	}
	return nil, nil
}

func (a account) evolve(e event) account {
	switch e := e.(type) {
	case opened:
		a.Owner = e.Owner
	case deposited:
		a.Cents += e.Cents
	case withdrawn:
		a.Cents -= e.Cents
	}
	return a
}

var accounts = actor.Aggregate[account, command, event]{
	Type:     "account",
	Decide:   account.decide,
	Evolve:   account.evolve,
	Commands: store.NewTypes(map[string]command{"open": open{}, "deposit": deposit{}, "withdraw": withdraw{}}),
	Events:   store.NewTypes(map[string]event{"opened": opened{}, "deposited": deposited{}, "withdrawn": withdrawn{}}),
}

type turnover struct {
	Count int `json:"count"`
}

// turnovers counts events by type.
var turnovers = projector.Documents[event, turnover]{
	Name:   "turnovers",
	Types:  []string{accounts.Type},
	Events: accounts.Events,
	Keys:   func(e store.Recorded[event]) []string { return []string{e.Type} },
	Fold: func(_ string, t turnover, _ store.Recorded[event]) turnover {
		t.Count++
		return t
	},
}

var bank = node.App{
	Name:        "bank",
	Version:     "v1.2.3",
	Summary:     "bank: accounts, for the tests of the command line",
	Aggregates:  []actor.Definition{accounts},
	Projections: []projector.Definition{turnovers},
	Commands:    func(s *node.Session) []*cobra.Command { return []*cobra.Command{newLinger(s)} },
	Try:         `nats req bank.cmd.account.7.open '{"owner": "ann"}'`,
}

// newLinger is a command of the application's own: it does nothing until it is
// interrupted, and when deaf not even then.
func newLinger(s *node.Session) *cobra.Command {
	var deaf bool
	cmd := &cobra.Command{
		Use:     "linger",
		Short:   "Wait to be interrupted",
		Example: "{{name}} linger --deaf",
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(s.Out(), "lingering")
			<-cmd.Context().Done()
			fmt.Fprintln(s.Out(), "interrupted")
			if deaf {
				select {}
			}
			return fmt.Errorf("linger: %w", context.Canceled)
		},
	}
	cmd.Flags().BoolVar(&deaf, "deaf", false, "go on when interrupted")
	return cmd
}
