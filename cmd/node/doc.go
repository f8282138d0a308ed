// Package node is the shell around an application: what its main function
// imports.
//
//	func main() {
//		node.Main(node.App{
//			Name:        "loans",
//			Aggregates:  []actor.Definition{application.Applications},
//			Projections: []projector.Definition{views.Activities},
//			Try:         `nats req loans.cmd.application.42.submit '{"amount": 15000}'`,
//		})
//	}
//
// It gives the application a command line: dev, which runs everything in one
// process; node, which runs one node of a cluster on NATS servers of your own;
// and the operator commands, such as projection and audit, which work on a running
// system over NATS. The application's own --help lists all.
//
// It owns the wiring: which parts there are, in which order they start and
// stop, what the commands print, and which exit code an error has. How they talk is in
// the package console, how parts start and stop in boot, how it listens for HTTP in web,
// and what the servers must be before a node starts on them in servers.
// It decides nothing about events, commands, views or placement, and never
// changes the settings of a server: each part does that for itself, and servers are
// their operators'.
package node
