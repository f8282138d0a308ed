// Package actortest specifies aggregates: given these events, when this
// command comes, then these events follow or the domain says no.
//
// It owns the wording of specifications and checks, on the way, that every
// command and event survives being stored. It never starts a system or a log:
// a specification takes microseconds.
//
//	actortest.For(t, Accounts).
//		Given(Opened{Owner: "Ann"}, Deposited{Cents: 10}).
//		When(Withdraw{Cents: 40}).
//		ThenError(ErrInsufficient)
package actortest
