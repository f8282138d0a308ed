package projector_test

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// The events of an account, as its aggregate writes them.
type accountEvent interface{ isAccountEvent() }

type deposited struct {
	Cents int `json:"cents"`
}

func (deposited) isAccountEvent() {}

var accountEvents = store.NewTypes(map[string]accountEvent{"deposited": deposited{}})

// balance is one document of the view.
type balance struct {
	Cents    int `json:"cents"`
	Deposits int `json:"deposits"`
}

// balances is the view: one document for each account.
var balances = projector.Documents[accountEvent, balance]{
	Name:   "balances",
	Types:  []string{"account"},
	Events: accountEvents,
	Keys:   func(e store.Recorded[accountEvent]) []string { return []string{e.Stream.ID} },
	Fold: func(_ string, b balance, e store.Recorded[accountEvent]) balance {
		switch d := e.Data.(type) {
		case deposited:
			b.Cents += d.Cents
			b.Deposits++
		}
		return b
	},
}

// A view is a value. A group runs it, and answers questions to it; with the
// position of a write, an answer that holds that write.
func Example() {
	log := store.NewMemory(store.MemoryConfig{})
	group, err := projector.NewGroup(projector.Config{
		Log:         log,
		Store:       &projector.Memory{},
		Projections: []projector.Definition{balances},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- group.Run(ctx) }()

	deposit(log, "ann", store.Head{}, 100, 250)
	position := deposit(log, "bob", store.Head{}, 40)

	document, err := group.Get(ctx, "balances", "ann", position)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s %s\n", document.Key, document.Document)

	page, _, err := group.List(ctx, "balances", "", 10, position)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(page), "accounts")

	cancel()
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
	// ann {"cents":350,"deposits":2}
	// 2 accounts
}

// deposit stands for the aggregate, which would decide and append.
func deposit(log store.Log, account string, after store.Head, cents ...int) store.Position {
	c := &store.Commit{
		Stream:   store.StreamID{Type: "account", ID: account},
		ID:       uuid.New(),
		After:    after,
		Time:     time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "deposit"}},
	}
	for _, n := range cents {
		encoded, err := accountEvents.Encode(log.Codec(), deposited{Cents: n})
		if err != nil {
			panic(err)
		}
		c.Events = append(c.Events, encoded.Event(0))
	}
	head, err := log.Append(context.Background(), c)
	if err != nil {
		panic(err)
	}
	return store.PositionOf(head.Sequence, len(cents)-1)
}
