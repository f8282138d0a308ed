// Package fleet runs the loans example as its operators do, several NATS
// servers and several nodes, each a process of its own, and says whether what
// the clients were told is true.
//
// It owns what the programs beside it share: starting, pausing and killing
// processes, a load of commands and reads, the history of what was sent and
// answered, and the audit of that history against the log and the views. It
// decides no faults: which process is hurt, and when, is up to the program. It
// never ends a process that it did not start.
package fleet
