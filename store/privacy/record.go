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
	// more, so that whoever has one can be forgotten.
	maxErasures = 256
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
	if len(r.Erased) > maxErasures {
		return &store.TooLargeError{What: "count of erasures of " + r.Subject, Size: len(r.Erased), Limit: maxErasures}
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

// jsonLength is how many bytes a text takes as JSON, without the quotes.
func jsonLength(text string) int {
	data, _ := json.Marshal(text) // a text never fails
	return len(data) - 2
}

// WasErased reports whether the key is one of those that the subject had before.
func (r *Record) WasErased(key store.KeyID) bool {
	return slices.ContainsFunc(r.Erased, func(e Erasure) bool { return e.Key == key })
}

// Join adds the erasures that r does not have, by their ids, oldest first; a key that is erased by
// one of all these goes. It reports whether that changed r.
func (r *Record) Join(erased []Erasure) (changed bool) {
	all := slices.Clone(r.Erased)
	for _, e := range erased {
		if !slices.ContainsFunc(all, func(has Erasure) bool { return has.ID == e.ID }) {
			all = append(all, e)
			changed = true
		}
	}
	slices.SortStableFunc(all, func(a, b Erasure) int { return a.At.Compare(b.At) })
	r.Erased = all
	if r.Key != (store.KeyID{}) && r.WasErased(r.Key) {
		r.giveUp()
		changed = true
	}
	return changed
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
