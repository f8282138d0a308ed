// Command views kills the process that keeps views up to date, again and again
// while it catches up, and proves that nothing was lost or folded twice; then it
// measures how fast views catch up.
//
//	go run ./test/views
//
// A loan history is put into a log once. Then, for each store (NATS KV, SQLite,
// PostgreSQL), a child process brings the four views of the loans example up to
// date, and gets SIGKILL at random moments: by the clock, from its start on, and
// around its commits. The next child goes on where that one was. When it has
// caught up, each view is compared, document by document, with a plain fold of
// the log, and each checkpoint's count and hash with the log's; if the kills are
// not done by then, the views are dropped and it begins again.
//
// The check must be able to fail: at the end one document and one checkpoint are
// spoiled in each store, and both must be found.
//
// The rates are those of one view, applications, one worker, from an empty store
// to the end of the log, beside a bare consumer of the same stream, which
// decodes nothing and keeps nothing.
//
// It prints what it does to standard error and one line of JSON, last, to
// standard output. The exit status is 0 only if every store was tried, no
// difference was found but those that were planted, and all kills were made. The
// moments follow from a seed, which is printed, but processes and disks do not:
// the same seed makes a like run, not the same one. It ends no process but its
// own children.
package main
