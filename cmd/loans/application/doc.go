// Package application is the domain of the example: a bank's loan application,
// from the customer's request to the bank's last word.
//
// It owns the commands and events of an application, the rules that say which
// command is accepted when ([Application.Decide]) and what an event changes
// ([Application.Evolve]). It is what a newcomer copies from: plain types and
// pure functions, and in aggregate.go one table of names, the only part that
// knows the library.
//
// It never reads a clock, a file or a network, knows no read model, and does
// not know how its events are stored.
//
//	loan := application.Application{}
//	events, err := loan.Decide(application.Submit{Amount: 15_000})
//	for _, e := range events {
//		loan = loan.Evolve(e)
//	}
package application
