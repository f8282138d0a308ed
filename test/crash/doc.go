// Command crash kills the commands that rewrite or copy a log, at random moments,
// and proves that none of them ever leaves a wrong one.
//
//	go run ./test/crash
//
// It starts a node with its data in a directory, gives it a history of some ten
// thousand commands, and then tries six things, each many times: schema migrate
// into the schemas of a later build, backup create, backup restore, the same of a
// namespace with several log streams, archive run before it takes anything out of
// the log, and archive run while it does. Each
// time the command is a process of its own and is killed with SIGKILL at a random
// moment of the time that it takes undisturbed; one time in four the server is
// killed instead, and started again.
//
// After each kill it looks at what is there: the namespace that was copied from is
// what it was; one that is half filled is refused to readers; one that is half
// archived reads as before. Then the same command is given again. It must end
// well, or refuse because the first one had come to its end; and then the log, or
// the backup, must come to the same count and running hash as undisturbed.
//
// The check must be able to fail: in the end a copy gets one commit more, and the
// run fails if that is not found.
//
// It prints what it does to standard error and one line of JSON, last, to
// standard output. The exit status is 0 only if nothing was wrong. It needs Linux,
// and ends no process but those that it started.
package main
