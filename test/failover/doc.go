// Command failover kills, drains, pauses and cuts off the nodes of a running
// cluster and the servers under it, and proves that nobody was told anything
// that is not true.
//
//	go run ./test/failover              (Linux; about eight minutes)
//	go run ./test/failover rolling      (Linux; half a minute)
//	go run ./test/failover partition    (as root, on Linux; a minute and a half)
//
// Three NATS servers, replicated and synced at each write, and three nodes of
// the loans example are processes of their own. Ordinary clients keep 2,000
// applications under load, each with a writer of its own that sends one command
// at a time and some with two, so that real time has an order that can be
// checked; readers ask for states beside them.
//
// The faults come one at a time, in an order that the seed decides, each when
// nothing is left of the one before: every partition is with the node that
// placement wants, all servers hold all events, no command waits.
//
//   - Owner kill: SIGKILL of a node. For each application that it served, the time
//     from the kill to the first acknowledgement of a command that was under way at
//     the kill or sent later. Every such application is sent a command within half a
//     second of the kill, so none counts as idle. owner_kill_p99_ms is over all pairs
//     of a kill and an application. The node starts again when all are served.
//   - NATS leader kill: SIGKILL of the server that leads the log's stream. The same
//     times, over all applications.
//   - Drain: as "cluster drain" does it, until the node holds nothing, and back again.
//     The time of each command to an application that the node served, from its
//     sending to its answer, if it was under way at some moment between the order to
//     drain and the moment when the node was empty, however it ended. drain_p99_ms is
//     over all those commands of all drains.
//   - Pause: SIGSTOP of a node, past its lease and until others have committed to what
//     it served, then SIGCONT. The times are those of an owner kill; they have no bar.
//
// When the load is over, what is of unknown outcome is sent again under its id,
// and a thousand acknowledged commands with it; then the log is read from its
// first event and compared with the history (package fleet has the rules):
// lost, duplicated, reordered, stale_commits and the other counts of violations
// must be 0.
//
// With rolling, all nodes are restarted by SIGTERM one after the other, the next
// as soon as the last says that it is ready, and clients wait for no command
// longer than 5 s. Failed is every command that ended otherwise than
// acknowledged, or rejected by a state that the history justifies.
//
// With partition, each server and the node beside it live in a network namespace
// of their own, and the cable of one is pulled until the others serve what it
// served. Clients on both sides ask all the time. Behind the cut no commit may
// be acknowledged, and answers from memory must end within the validity of a
// lease and before an heir's first answer.
//
// It prints what it does to standard error and one line of JSON, last, to
// standard output. The exit status is 0 only if nothing falls short; a run with
// too few commands or faults says INVALID, and fails. The same seed makes the
// same plan and the same choices of the clients, but processes meet as they like:
// a like run, not the same one. Data, logs and the history are kept, and named,
// when it fails.
package main
