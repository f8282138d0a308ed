// Package projectortest is the suite that every [projector.Store] and every
// [projector.Registry] has to pass.
//
// It owns the cases, written against the contracts alone: those of
// [projector.Store], [projector.View], [projector.Querier] and
// [projector.Registry]. It never knows a store; a [Harness] opens one and makes it
// misbehave.
package projectortest
