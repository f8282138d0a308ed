package store

import "strings"

// StreamID names one aggregate instance's history.
type StreamID struct {
	// Type is the aggregate's type name: lower case letters, digits and
	// hyphens, starting with a letter, at most 64 bytes.
	Type string `json:"type"`
	// ID is the instance's id: what [EncodeToken] accepts.
	ID string `json:"id"`
}

// String prints the id as "application/173688".
func (s StreamID) String() string { return s.Type + "/" + s.ID }

// ParseStreamID reads what [StreamID.String] printed. The type ends at the
// first slash; the rest, slashes included, is the id. The error is an
// [*InvalidError].
func ParseStreamID(text string) (StreamID, error) {
	typ, id, found := strings.Cut(text, "/")
	if !found {
		return StreamID{}, &InvalidError{What: "stream id", Value: text, Reason: "want TYPE/ID"}
	}
	s := StreamID{Type: typ, ID: id}
	return s, s.Validate()
}

// Validate reports whether both parts may be written; the error is an
// [*InvalidError].
func (s StreamID) Validate() error {
	if err := ValidateName("aggregate type", s.Type); err != nil {
		return err
	}
	_, err := EncodeToken(s.ID)
	return err
}

// Partition returns the partition in [0, n) that the stream belongs to: the
// 32-bit FNV-1a hash of the two encoded tokens, modulo n. It is what the
// subject mapping {{partition(n,…)}} of a NATS server computes over the same
// two tokens, so a server can route for clients that cannot hash.
//
// s must be valid.
func (s StreamID) Partition(n int) int {
	token, err := EncodeToken(s.ID)
	if err != nil {
		panic("store: Partition of an invalid stream id: " + err.Error())
	}
	return int(fnv1a(fnv1a(fnvOffset, s.Type), token) % uint32(n))
}

// The 32-bit parameters of FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo). The
// standard library's hash costs three allocations for each command.
const (
	fnvOffset uint32 = 2166136261
	fnvPrime  uint32 = 16777619
)

func fnv1a(h uint32, text string) uint32 {
	for i := range len(text) {
		h = (h ^ uint32(text[i])) * fnvPrime
	}
	return h
}
