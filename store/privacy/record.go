package privacy

import (
	"bytes"
	"slices"

	"github.com/annals-go/annals/store"
)

// Limits of a record, so that it stays far below what a message may hold.
const (
	// maxErasures is how often one subject can be forgotten.
	maxErasures = 1024
	// maxWrapped is the largest wrapped key, maxWrappedBy the longest name of a wrapping
	// key, in bytes: services of that kind add to a key, and have long names.
	maxWrapped   = 16 << 10
	maxWrappedBy = 256
)

// Validate reports whether a record may be stored. The error is an
// [*store.InvalidError] or a [*store.TooLargeError].
func (r *Record) Validate() error {
	if err := validateSubject(r.Subject); err != nil {
		return err
	}
	hasKey := r.Key != store.KeyID{}
	if hasKey != (len(r.Wrapped) > 0) || hasKey != (r.WrappedBy != "") {
		return &store.InvalidError{What: "key record of", Value: r.Subject, Reason: "it names a key and has none, or the reverse"}
	}
	if len(r.Wrapped) > maxWrapped {
		return &store.TooLargeError{What: "wrapped key of " + r.Subject, Size: len(r.Wrapped), Limit: maxWrapped}
	}
	if len(r.WrappedBy) > maxWrappedBy {
		return &store.TooLargeError{What: "name of a wrapping key", Size: len(r.WrappedBy), Limit: maxWrappedBy}
	}
	if len(r.Erased) > maxErasures {
		return &store.TooLargeError{What: "count of erasures of " + r.Subject, Size: len(r.Erased), Limit: maxErasures}
	}
	if hasKey && r.WasErased(r.Key) {
		return &store.InvalidError{What: "key record of", Value: r.Subject, Reason: "its key was erased before"}
	}
	return nil
}

// WasErased reports whether the key is one of those that the subject had before.
func (r *Record) WasErased(key store.KeyID) bool {
	return slices.ContainsFunc(r.Erased, func(e Erasure) bool { return e.Key == key })
}

// Bare returns r without its wrapped key.
func (r Record) Bare() Record {
	r.Wrapped = nil
	r.Erased = slices.Clone(r.Erased)
	return r
}

func (r Record) clone() Record {
	r.Wrapped, r.Erased = bytes.Clone(r.Wrapped), slices.Clone(r.Erased)
	return r
}
