// Package actor runs aggregates: pure functions that decide and evolve, each
// instance an in-memory actor in front of its stream.
//
// It owns the [Aggregate] value, the [System] that activates, turns and
// passivates actors, exactly-once commands, and when snapshots are taken. A
// turn takes what is queued, decides it in order, appends it as one commit,
// and only then replies.
//
// It never decides who may run an actor: [Leases] say which partitions it may
// serve, and where they are wrong two systems run the same actor and the log
// refuses the slower. It knows no network, no node and no read model.
//
//	var Accounts = actor.Aggregate[Account, Command, Event]{
//		Type: "account", Decide: Account.Decide, Evolve: Account.Evolve,
//		Commands: store.NewTypes(map[string]Command{"open": Open{}}),
//		Events:   store.NewTypes(map[string]Event{"opened": Opened{}}),
//	}
//	system, err := actor.NewSystem(actor.Config{Log: log, Aggregates: []actor.Definition{Accounts}})
//	result, err := actor.For(system, Accounts).Execute(ctx, "a-1", Open{Owner: "Ann"})
package actor
