package projector

import (
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Documents defines a document view: which documents an event touches, and
// how it changes each. It is a value; a [Group] runs it.
//
// Keys, Fold and Gone must be pure: no clock, no I/O, no randomness, for the same
// events must give the same documents when a view is built again. An event at
// which one of them panics parks its stream.
type Documents[E, D any] struct {
	// Name is the view's name: lower case letters, digits and hyphens, starting
	// with a letter, at most 40 bytes.
	Name string
	// Version tells read models of one name apart: another version is another
	// read model, built from the first event. Raise it whenever Types, Only, Keys,
	// Fold or D change their meaning. 1 to 9999; default 1.
	Version int
	// Types are the aggregate types that the view follows, at least one.
	Types []string
	// Events are the wire types of their events. An event of a followed type that
	// is not among them parks its stream: nothing is skipped.
	Events store.Types[E]
	// Only are the wire types that the view wants to see, as Events names them
	// today. Events that are not and do not become of these types are passed over
	// without being decoded, whether Events has them or not. Default none: all.
	Only []string
	// Skip are events to leave out. Default none.
	Skip []SkipEvent
	// Workers is how many workers share the documents, by their keys. Each reads
	// all events. 1 to 64; default 1. Another number needs a rebuild. Where the store
	// is shared they may run in several groups, see [Config.Spread].
	Workers int
	// Indexes are the members of documents that the store is to index, where it
	// can: names joined by dots. Default none.
	Indexes []string
	// Keys returns the documents that e touches, at most [MaxKeys]; none means
	// that e does not concern the view. Keys are what [store.EncodeToken] accepts;
	// one that is named twice counts once.
	Keys func(e store.Recorded[E]) []string
	// Fold returns the document under key as it is after e. d is the document
	// before e, D's zero value before its first event; Fold owns it and may reuse
	// its maps and slices. Of an event that is split ([store.Split]) it gets one part
	// after the other, and the document is stored with all of them or with none. The
	// document is stored and served as encoding/json
	// writes it, and must survive being read back. Fields of D that are tagged as
	// personal ([store.PersonalFields], "@id" being the document's key) are stored
	// sealed and are zero once the person is forgotten; for that Fold must put
	// data of a person into fields that are that person's.
	Fold func(key string, d D, e store.Recorded[E]) D
	// Gone reports whether a document that Fold returned is to be deleted. The
	// next event that touches its key finds the zero value again. Default nil:
	// none ever is.
	Gone func(d D) bool
	// Forgotten changes a document when a person was forgotten whom it is about: one
	// whose key is the person's id, or in which a field that says whose a personal one
	// is ([store.PersonalFields]) names the person. The personal fields are zero by then. It is
	// called once for each document and notice, in the order of the log, as pure as Fold, and
	// again only where a retry of a parked notice was interrupted. Whoever was seen
	// again between the erasure and the notice has a younger key, and may have new data
	// in the document. A view that gets a handler, or loses it, needs another Version.
	// Default nil: personal fields that are tagged are gone by themselves.
	Forgotten func(key string, d D, n privacy.Notice) D
	// Impersonal says that nothing personal is copied into the documents from events
	// that have personal fields: then D needs no tags. Whatever is copied all the same
	// is never forgotten.
	Impersonal bool
}

// MaxKeys is the largest number of documents that one event may touch.
const MaxKeys = 10_000

// Describe implements [Definition].
func (v Documents[E, D]) Describe() Description { return v.common().describe() }

func (v Documents[E, D]) validate() error { return v.common().validate() }

func (v Documents[E, D]) common() common {
	c := common{
		kind: ofDocuments, name: v.Name, version: v.Version, types: v.Types, known: v.Events.Names(), origins: v.Events.Origins(v.Only...),
		only: v.Only, skip: v.Skip, workers: v.Workers, indexes: v.Indexes,
	}
	c.fields, c.badTags = personalFields[D]()
	c.events, c.impersonal, c.told = personalEvents(v.Events, v.Only), v.Impersonal, v.Forgotten != nil
	switch {
	case v.Keys == nil:
		c.missing = "Keys"
	case v.Fold == nil:
		c.missing = "Fold"
	}
	return c
}

func (v Documents[E, D]) folder(codec store.Codec, part part) folder {
	c := v.common()
	return &documentFolder[E, D]{view: v, wire: v.wire(codec), part: part, cache: newCache[D](), fields: fieldsFrom(c.fields)}
}

func (v Documents[E, D]) wire(codec store.Codec) *wire[E] {
	return newWire(v.Events, codec, v.Describe(), v.Only)
}

func (v Documents[E, D]) shower(codec store.Codec) shower { return v.wire(codec) }
