// Package projectortest is the suite that every [projector.Store] has to pass.
//
// It owns the cases, written against the contract of [projector.Store] and
// [projector.View] alone. It knows no store; a [Harness] opens one and makes it
// misbehave.
package projectortest
