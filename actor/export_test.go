package actor

import "github.com/annals-go/annals/store"

// Differences is differences, for tests with trees that no state has.
var Differences = differences

// Hold reports whether a state in memory, or a snapshot that waits to be written, was
// made of data under one of some keys. Nothing must be under way.
func Hold(s *System, erased []store.KeyRef) bool {
	for i := range s.table {
		for _, a := range s.table[i].Load().actors {
			if a.live != nil && a.live.keys.holdAny(erased) || a.saving != nil && a.saving.snapshot != nil {
				return true
			}
		}
	}
	return false
}
