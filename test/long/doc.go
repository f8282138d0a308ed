// Command long keeps a promise about streams that grow for years: one account of
// a million events, with other accounts' events between them, is activated,
// replayed, archived up to its last ten thousand, and activated and replayed
// again. It prints what that took, and how large the server's directory is:
//
//	{"events":1000000,"archived":990000,"differences":0,"activation_p50_ms":…,"replay_per_s":…,"raw_per_s":…,
//	"activation_after_p50_ms":…,"replay_after_per_s":…,"archive_s":…,"disk_bytes":…,"disk_after_bytes":…,…}
//
// It exits with 1 when anything reads otherwise than before, when an activation
// takes 50 ms or more in the middle, or when the directory did not become smaller
// by the archived share, but for the marks that the server keeps. It takes some minutes, most of which it waits for
// the server to compact its files.
package main
