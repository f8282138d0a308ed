//go:build linux

package main

import (
	"errors"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
)

// namespace is where the history is, spreadNamespace where it is in so many log
// streams.
const (
	namespace       = "crash"
	spreadNamespace = "wide"
	logStreams      = "4"
)

// The application whose log is copied: ledgers with a balance, in the build that
// wrote the history and in a later one.

type ledger struct {
	Cents int64 `json:"cents"`
	Moves int   `json:"moves"`
}

type (
	order interface{ isOrder() }
	move  struct {
		Cents int64 `json:"cents"`
		Parts int   `json:"parts"` // so many events
	}
)

func (move) isOrder() {}

type (
	entry interface{ isEntry() }
	moved struct {
		Cents int64  `json:"cents"`
		Note  string `json:"note"`
	}
	checked struct{}
)

func (moved) isEntry()   {}
func (checked) isEntry() {}

func decide(_ ledger, o order) ([]entry, error) {
	m, is := o.(move)
	if !is || m.Parts < 1 {
		return nil, errors.New("a move has parts")
	}
	var all []entry
	for range m.Parts - 1 {
		all = append(all, moved{Cents: m.Cents, Note: "a part of what was moved from one ledger to another"})
	}
	return append(all, checked{}), nil
}

func evolve(l ledger, e entry) ledger {
	l.Moves++
	if m, is := e.(moved); is {
		l.Cents += m.Cents
	}
	return l
}

var ledgers = actor.Aggregate[ledger, order, entry]{
	Type: "ledger", Decide: decide, Evolve: evolve,
	Commands: store.NewTypes(map[string]order{"move": move{}}),
	Events:   store.NewTypes(map[string]entry{"moved": moved{}, "checked": checked{}}),
}

// In the later build what was moved is given and taken, and nothing is said of
// what was checked.

type (
	laterEntry interface{ isLaterEntry() }
	given      struct {
		Cents int64 `json:"cents"`
	}
	taken struct {
		Cents int64  `json:"cents"`
		Note  string `json:"note"`
	}
)

func (given) isLaterEntry() {}
func (taken) isLaterEntry() {}

var laterLedgers = actor.Aggregate[ledger, order, laterEntry]{
	Type:     "ledger",
	Decide:   func(ledger, order) ([]laterEntry, error) { return nil, errors.New("this build is for migrating only") },
	Evolve:   func(l ledger, _ laterEntry) ledger { return l },
	Commands: ledgers.Commands,
	Events: store.NewTypes(map[string]laterEntry{"given": given{}, "taken": taken{}},
		store.Split("moved", 1, func(m moved) []laterEntry { return []laterEntry{given{m.Cents}, taken(m)} }),
		store.Split("checked", 1, func(checked) []laterEntry { return nil })),
}

// builds are the two builds under the names that this program runs them by.
var builds = map[string]node.App{
	"earlier": {Name: namespace, Aggregates: []actor.Definition{ledgers}},
	"later":   {Name: namespace, Aggregates: []actor.Definition{laterLedgers}},
}
