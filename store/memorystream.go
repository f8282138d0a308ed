package store

import "slices"

// memoryStream is what is known of a stream without decoding.
type memoryStream struct {
	id      StreamID
	head    Head
	commits []uint64 // sequences
}

// indexOf returns where in s.commits the sequence stands, or would stand.
func (s *memoryStream) indexOf(sequence uint64) (int, bool) {
	return slices.BinarySearch(s.commits, sequence)
}

// nextAfter returns the sequence of the stream's first commit after the given one.
func (s *memoryStream) nextAfter(sequence uint64) (uint64, bool) {
	i, found := s.indexOf(sequence)
	if found {
		i++
	}
	if i == len(s.commits) {
		return 0, false
	}
	return s.commits[i], true
}
