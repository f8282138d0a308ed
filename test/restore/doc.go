// Command restore loses a data directory and gets it back, and plants flipped bits
// to see that each is found.
//
//	go run ./test/restore
//
// It runs the loans example as a process, imports a history in two halves with a
// backup after each, the second an increment, and asks the process for the state
// of every application. Then it kills the process, removes the data directory,
// restores it from the backup, and asks again. Another namespace is restored to a
// position in the middle; its states are compared with those that the first
// process told of the same versions.
//
// Then bits are flipped, one at a time: in block files of a stopped server, one of
// which goes on with a log that has lost its end; in block files of a running one;
// in each kind of file of the backup. "backup verify" has to find each and to name
// it: stream, version and sequence, or the file. Before and in between it has to
// find nothing. And the states of the middle have to differ from those of the end:
// a comparison that finds nothing there could find nothing anywhere.
//
// It prints what it does to standard error and one line of JSON, last, to standard
// output. The exit status is 0 only if nothing differs and each flip was found. It
// needs Linux, and ends no process but those that it started.
package main
