package projector

import (
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
)

// Documents defines a document view: which documents an event touches, and
// how it changes each. It is a value; a [Group] runs it.
//
// Keys and Fold must be pure: no clock, no I/O, no randomness, for the same
// events must give the same documents when a view is built again. A panic in
// one of them stops the projection at that event.
type Documents[E, D any] struct {
	// Name is the view's name: lower case letters, digits and hyphens, starting
	// with a letter, at most 40 bytes.
	Name string
	// Version tells read models of one name apart: another version is another
	// read model, built from the first event. Raise it whenever Types, Keys, Fold
	// or D change their meaning. 1 to 9999; default 1.
	Version int
	// Types are the aggregate types that the view follows, at least one.
	Types []string
	// Events are the wire types of their events. An event of a followed type that
	// is not among them stops the projection: nothing is skipped.
	Events store.Types[E]
	// Keys returns the documents that e touches, at most [MaxKeys]; none means
	// that e does not concern the view. Keys are what [store.EncodeToken] accepts;
	// one that is named twice counts once.
	Keys func(e store.Recorded[E]) []string
	// Fold returns the document under key as it is after e. d is the document
	// before e, D's zero value before its first event; Fold owns it and may reuse
	// its maps and slices. The document is stored and served as encoding/json
	// writes it, and must survive being read back.
	Fold func(key string, d D, e store.Recorded[E]) D
}

// MaxKeys is the largest number of documents that one event may touch.
const MaxKeys = 10_000

// maxNameLen keeps the names that stores derive from a view's within what
// file systems and servers accept.
const maxNameLen = 40

// Definition is a view that a [Group] can run; [Documents] is the one kind.
type Definition interface {
	// Describe returns what identifies the view.
	Describe() Description

	validate() error
	folder(codec store.Codec) folder
}

// Description identifies a view and what it follows.
type Description struct {
	Name    string
	Version int
	// Types are the followed aggregate types, sorted, each once.
	Types []string
}

// String prints the name and version as "outcomes v1".
func (d Description) String() string { return fmt.Sprintf("%s v%d", d.Name, d.Version) }

// feed is the name of the durable feed, visible to operators.
func (d Description) feed() string { return fmt.Sprintf("%s_v%d", d.Name, d.Version) }

// Describe implements [Definition].
func (v Documents[E, D]) Describe() Description {
	types := slices.Clone(v.Types)
	slices.Sort(types)
	return Description{Name: v.Name, Version: max(v.Version, 1), Types: slices.Compact(types)}
}

func (v Documents[E, D]) validate() error {
	if err := store.ValidateName("view name", v.Name); err != nil {
		return err
	}
	if len(v.Name) > maxNameLen {
		return &store.TooLargeError{What: "view name", Size: len(v.Name), Limit: maxNameLen}
	}
	invalid := func(reason string) error {
		return &store.InvalidError{What: "view", Value: v.Name, Reason: reason}
	}
	switch {
	case v.Version < 0 || v.Version > 9999:
		return invalid("its version is not in 1 to 9999")
	case len(v.Types) == 0:
		return invalid("it follows no aggregate type")
	case len(v.Events.Names()) == 0:
		return invalid("it knows no event types")
	case v.Keys == nil:
		return invalid("it has no Keys")
	case v.Fold == nil:
		return invalid("it has no Fold")
	}
	for _, t := range v.Types {
		if err := store.ValidateName("aggregate type", t); err != nil {
			return err
		}
	}
	return nil
}

func (v Documents[E, D]) folder(codec store.Codec) folder {
	return &documentFolder[E, D]{
		view:  v,
		codec: codec,
		cache: newCache[D](),
	}
}
