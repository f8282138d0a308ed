// Command permissions tries who may do what, against a real NATS server with the
// users that "loans generate permissions" prints.
//
//	go run ./test/permissions
//
// The server reads the printed file. A provisioner makes the namespace; a node
// under the node's user and one under the projector's serve it; client, operator,
// privacy officer, archivist and auditor do under theirs what they are for: commands,
// queries, watches, rebuilds, moves, forgetting, an archive, backups, a restore. All of
// it has to work, and the server must not have refused anything meanwhile. Then some
// try what others are for, and have to be told that they may not.
//
// Then a matrix of subjects and users is tried, by publishing and subscribing, and
// what the server refuses is compared with a table that was written by hand. Last,
// wrong grants are planted in the file, one after the other, and each has to be
// found by the same matrix.
//
// It owns the table of what is expected. It never knows how grants are worked out,
// and ends no process but those that it started. It prints what it does to
// standard error and one line of JSON, last, to standard output; the exit status is
// 0 only if nothing was wrong. It needs Linux.
package main
