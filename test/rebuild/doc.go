// Command rebuild builds views again beside those that are served, under load,
// and proves that no reader notices.
//
//	go run ./test/rebuild
//
// For each store (NATS KV, SQLite, PostgreSQL) it starts three NATS servers and
// three nodes of the loans example, each a process of its own, and puts them under
// load: each writer sends a command, takes the position of its answer, and asks a
// node for a document as it is after that position. Meanwhile, several times:
//
//   - the view applications is built again online, compared with the one that is
//     served, all documents of it, switched to, and rolled back;
//   - the view marked, whose two versions say in each document which they are, is
//     switched from one to the other and back. Readers at all nodes ask all the
//     time; the switch takes from the operator's request to the last answer of the
//     old version to anybody.
//
// It counts queries that failed, that is, that had no answer within their time,
// and answers that are stale: a document without an event that its reader's token
// names. The check must be able to fail: the same question without a token is
// stale now and then, and the run fails if it never is. In the end all views are
// compared with a plain fold of the log.
//
// It prints what it does to standard error and one line of JSON, last, to
// standard output. The exit status is 0 only if all stores were tried, nothing
// failed, was stale or differed, and each switch and roll-back took less than a
// second. It needs Linux, and ends no process but those that it started.
package main
