// Package projector is the read side: it turns the log into documents and
// tables that can be asked for, and into reactions, each event taking effect
// exactly once and in order, or, for a reaction, at least once.
//
// It owns the definitions of views ([Documents], [Tables], [Reaction]), the group
// that runs them ([Group]: follow, fold, commit, wait), what becomes of an event
// that cannot be applied ([DeadLetter]), and the contract of what keeps views
// ([Store], [View]). It holds one store, [Memory], for tests and throw-away
// data; package projector/kv keeps documents in NATS.
//
// Of several groups on one log and one store, in as many processes, each runs
// the views that it is assigned ([Config.Assigned], [Assignment]). Who assigns is
// none of its business: what two groups write at once is kept apart by the
// checkpoint. With [Config.Spread] they share the workers of a view as well.
//
// A view may have several models: the live one that is served, a candidate that
// is built beside it, the previous one for a roll-back. The [Registry] says which
// is which; [Group.Rebuild], [Group.Promote] and [Group.Rollback] change it.
//
// It never decides anything, never writes to the log and never skips an event
// that nobody told it to: what cannot be applied parks its own stream, loudly,
// and holds up no other. It imports packages store and store/privacy and nothing else of
// this module.
//
// What is personal in documents is stored sealed ([Config.Keyring], [NewSealed]), and who
// was forgotten is dropped from memory ([Group.Forget]).
//
//	var Totals = projector.Documents[Event, Total]{
//		Name:   "totals",
//		Types:  []string{"account"},
//		Events: Accounts.Events,
//		Keys:   func(e store.Recorded[Event]) []string { return []string{e.Stream.ID} },
//		Fold:   func(_ string, t Total, e store.Recorded[Event]) Total { return t.With(e.Data) },
//	}
package projector
