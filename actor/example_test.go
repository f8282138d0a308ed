package actor_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/actortest"
	"github.com/annals-go/annals/store"
)

// A turnstile: the smallest aggregate that says no.

type (
	turnstileCommand interface{ turnstileCommand() }
	turnstileEvent   interface{ turnstileEvent() }
)

type (
	insertCoin struct{}
	push       struct{}
	unlocked   struct{}
	passed     struct{}
)

func (insertCoin) turnstileCommand() {}
func (push) turnstileCommand()       {}
func (unlocked) turnstileEvent()     {}
func (passed) turnstileEvent()       {}

type turnstile struct {
	Open bool `json:"open"`
}

var errLocked = errors.New("insert a coin first")

var turnstiles = actor.Aggregate[turnstile, turnstileCommand, turnstileEvent]{
	Type: "turnstile",
	Decide: func(s turnstile, c turnstileCommand) ([]turnstileEvent, error) {
		switch c.(type) {
		case insertCoin:
			return []turnstileEvent{unlocked{}}, nil
		case push:
			if !s.Open {
				return nil, errLocked
			}
			return []turnstileEvent{passed{}}, nil
		}
		panic("unreachable")
	},
	Evolve: func(s turnstile, e turnstileEvent) turnstile {
		_, s.Open = e.(unlocked)
		return s
	},
	Commands: store.NewTypes(map[string]turnstileCommand{"insert-coin": insertCoin{}, "push": push{}}),
	Events:   store.NewTypes(map[string]turnstileEvent{"unlocked": unlocked{}, "passed": passed{}}),
}

func ExampleSystem() {
	system, err := actor.NewSystem(actor.Config{
		Log:        store.NewMemory(store.MemoryConfig{}), // in production: package store/jetstream
		Aggregates: []actor.Definition{turnstiles},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	sender := actor.For(system, turnstiles)
	_, err = sender.Execute(ctx, "north", push{})
	fmt.Println(err, errors.Is(err, actor.ErrRejected))
	for _, c := range []turnstileCommand{insertCoin{}, push{}} {
		result, err := sender.Execute(ctx, "north", c)
		fmt.Println(result.Version, result.Events, err)
	}
	// Output:
	// insert a coin first true
	// 1 [unlocked] <nil>
	// 2 [passed] <nil>
}

// The same command id again returns the first result and stores nothing.
func ExampleSender_ExecuteWith() {
	system, err := actor.NewSystem(actor.Config{
		Log: store.NewMemory(store.MemoryConfig{}), Aggregates: []actor.Definition{turnstiles},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	sender := actor.For(system, turnstiles)
	for range 2 {
		result, err := sender.ExecuteWith(context.Background(), "north", insertCoin{}, actor.Command{ID: "coin-1"})
		fmt.Println(result.Version, result.Duplicate, err)
	}
	// Output:
	// 1 false <nil>
	// 1 true <nil>
}

// State at a version, from the log.
func ExampleSystem_State() {
	system, err := actor.NewSystem(actor.Config{
		Log: store.NewMemory(store.MemoryConfig{}), Aggregates: []actor.Definition{turnstiles},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, sender := context.Background(), actor.For(system, turnstiles)
	for _, c := range []turnstileCommand{insertCoin{}, push{}} {
		if _, err := sender.Execute(ctx, "north", c); err != nil {
			fmt.Println(err)
		}
	}
	for version := range uint64(2) {
		state, err := system.State(ctx, store.StreamID{Type: "turnstile", ID: "north"}, actor.At{Version: version + 1})
		fmt.Printf("%d %+v %v\n", state.Version, state.Value, err)
	}
	// Output:
	// 1 {Open:true} <nil>
	// 2 {Open:false} <nil>
}

// A specification runs in microseconds, without a system or a log.
func ExampleAggregate() {
	var t actortestT
	actortest.For(&t, turnstiles).Given(unlocked{}, passed{}).When(push{}).ThenError(errLocked)
	fmt.Println("failed:", t.failed)
	// Output:
	// failed: false
}
