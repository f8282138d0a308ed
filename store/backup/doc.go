// Package backup copies a namespace into a vault and back: the log, exactly as it
// is stored, with the snapshots and what else is kept beside it, in increments
// that each end at a position. It verifies what it has written, and the live log
// against it.
//
// It owns the layout of a vault with backups and what a backup promises. It never
// changes a log that it reads, never interprets an event, and never serves a
// namespace that it has not restored to the end.
package backup
