// Package linear checks histories of commands for linearizability, with the
// aggregate's own Decide and Evolve as the specification.
//
// It owns the translation of an aggregate into a model of the checker
// porcupine (A. Athalye, github.com/anishathalye/porcupine). It never sends a
// command: whoever does keeps the history.
package linear
