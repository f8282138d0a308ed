//go:build linux

package main

// shutdown says what a cut drops beside everything that was not synced.
type shutdown uint32

// The values are those of the ext4 shutdown call.
const (
	// flushJournal writes the open journal transaction first: sizes and names
	// arrive without their contents, as from a disk that reorders.
	flushJournal shutdown = 1
	// dropJournal drops the open journal transaction too.
	dropJournal shutdown = 2
)

func (s shutdown) String() string {
	if s == flushJournal {
		return "flush-journal"
	}
	return "drop-journal"
}
