// Loans is the example application: a bank's loan applications, on a real
// history. Its domain is in package application, its read models in package
// views, and package history reads the files that import takes.
//
// This package owns two commands, import and sample, and puts the parts
// together; everything else, from dev to the operator's commands, comes with
// package cmd/node. It never decides anything about an application.
//
//	go run ./cmd/loans dev
//	go run ./cmd/loans sample > history.xes
//	go run ./cmd/loans import history.xes
package main
