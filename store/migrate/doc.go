// Package migrate copies the log of one namespace into another through a
// transformation: what upcasting does on every read is done once, and for good,
// and so is what upcasting cannot do.
//
// It owns the way of each commit from one log to the other (order, new heads,
// what is dropped), how an interrupted migration goes on, and the proof that the
// new log is what was made of the old one.
//
// It never writes to the old namespace, never decides what becomes of an event
// (the [Transform] does), and never makes a namespace or declares it complete.
package migrate
