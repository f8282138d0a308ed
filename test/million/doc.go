// Command million activates a million actors of a small aggregate, leaves them
// idle and says how much memory they take:
//
//	{"actors":1000000,"rss_bytes":…,"bytes_per_actor":…,"heap_bytes":…,"seconds":…}
//
// The log is in a process of its own, so that what is measured is the actors.
// It exits with 1 when an actor is missing or was activated twice, or when the
// memory is over the limit.
package main
