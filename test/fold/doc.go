// Package fold computes the views of the loans example from the log alone, and
// compares what a store keeps with that.
//
// It owns the plain fold, the chain of events that each checkpoint must have,
// and the comparison, for the programs beside it. It uses a view's own
// functions, Keys and Fold, and nothing of what runs or stores a view: no
// checkpoint, no cache, no batch, no commit. It never reads a store or a log by
// itself.
package fold
