package privacy

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// Limits of a record, so that it stays below the MiB that a message may hold, whatever
// is in it: 256 erasures of 3 KiB, and the key.
const (
	// maxErasures is how often one subject can be forgotten. Who was gets no key any
	// more, so that whoever has one can be forgotten. Joined lists may be longer.
	maxErasures = 256
	// maxErased is how many bytes all erasures may have, as JSON: so many of the longest.
	// Without texts these are more than 2,000.
	maxErased = maxErasures * maxErasure
	// maxErasure is what one with the longest texts has at most, bareErasure what it has
	// without any.
	maxErasure  = 3 << 10
	bareErasure = 384
	// maxErasureText is how long the texts of one erasure may be together, as JSON has
	// them: where a byte may take six.
	maxErasureText = 2048
	// maxAlso is how many ids of requests are remembered that an erasure has answered
	// as well.
	maxAlso = 16
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
	if size := sizeOf(r.Erased); size > maxErased {
		return &store.TooLargeError{What: "erasures of " + r.Subject, Size: size, Limit: maxErased}
	}
	for i := range r.Erased {
		if err := r.Erased[i].validate(); err != nil {
			return err
		}
	}
	if hasKey && r.WasErased(r.Key) {
		return &store.InvalidError{What: "key record of", Value: r.Subject, Reason: "its key was erased before"}
	}
	return nil
}

func (e *Erasure) validate() error {
	if size := jsonLength(e.By) + jsonLength(e.Why); size > maxErasureText {
		return &store.TooLargeError{What: "name and reason of who forgets, as JSON", Size: size, Limit: maxErasureText}
	}
	if len(e.Also) > maxAlso {
		return &store.TooLargeError{What: "count of requests for one erasure", Size: len(e.Also), Limit: maxAlso}
	}
	return nil
}

// size is how many bytes the erasure has as JSON, at most.
func (e *Erasure) size() int {
	const id = len(`"",`) + 36
	return bareErasure + jsonLength(e.By) + jsonLength(e.Why) + id*len(e.Also)
}

func sizeOf(erased []Erasure) (size int) {
	for i := range erased {
		size += erased[i].size()
	}
	return size
}

// jsonLength is how many bytes a text takes as JSON, without the quotes.
func jsonLength(text string) int {
	data, _ := json.Marshal(text) // a text never fails
	return len(data) - 2
}

// WasErased reports whether the key is one of those that the subject had before.
func (r *Record) WasErased(key store.KeyID) bool {
	return erases(r.Erased, key)
}

func erases(erased []Erasure, key store.KeyID) bool {
	return slices.ContainsFunc(erased, func(e Erasure) bool { return e.Key == key })
}

// giveUp leaves the record without a key.
func (r *Record) giveUp() {
	r.Key, r.Wrapped, r.WrappedBy, r.Made = store.KeyID{}, nil, "", time.Time{}
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
