package projector

import (
	"fmt"
	"slices"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Definition is a view that a [Group] can run: [Documents], [Tables] or
// [Reaction].
type Definition interface {
	// Describe returns what identifies the view.
	Describe() Description

	validate() error
	folder(codec store.Codec, part part) folder
	shower(codec store.Codec) shower
}

// Description identifies a view and says what it follows and how.
type Description struct {
	Name    string
	Version int
	// Types are the followed aggregate types, sorted, each once.
	Types []string
	// Workers is how many workers share the work, at least 1.
	Workers int

	kind    kind
	only    map[string]bool
	skip    map[eventAt]string // reasons
	indexes []string
	tables  []string
	from    string // of a reaction; empty if that is not known

	private  map[string]bool // wire names of the events whose errors are withheld
	withheld bool            // all errors are
	personal bool            // its documents have personal fields
	told     bool            // it is told of those who were forgotten
}

// kind is what a definition makes of events.
type kind string

const (
	ofDocuments kind = "documents"
	ofTables    kind = "tables"
	ofReactions kind = "reaction"
)

// SkipEvent names an event that is known to be bad and is to be left out of a
// view. That it was left out is recorded.
type SkipEvent struct {
	Stream  store.StreamID
	Version uint64
	// Reason says why, in words; it is needed.
	Reason string
}

// eventAt names an event by its stream and version.
type eventAt struct {
	stream  store.StreamID
	version uint64
}

// String prints the name and version as "outcomes v1".
func (d Description) String() string { return fmt.Sprintf("%s v%d", d.Name, d.Version) }

// layout is what a store is asked for.
func (d Description) layout(model Model) Layout {
	return Layout{Model: model, Indexes: d.indexes, Tables: d.tables}
}

// wants reports whether the view may want to see an event. Of the streams of data
// subjects it sees the notices alone.
func (d Description) wants(e *store.Recorded[[]byte]) bool {
	if d.told && e.Stream.Type == privacy.SubjectAggregate {
		return privacy.IsNotice(e)
	}
	return d.only == nil || d.only[e.Type]
}

// notices reports whether the event is a notice that the view has a handler for.
func (d Description) notices(e *store.Recorded[[]byte]) bool { return d.told && privacy.IsNotice(e) }

// fault makes the errors that blame the view's events.
func (d Description) fault() fault { return fault{view: d.Name, all: d.withheld, some: d.private} }

// part is which share of a view's work is a worker's, or one document alone.
type part struct {
	nth, of int
	only    string // the document's key; empty: all of the share
}

// isAll reports whether everything belongs to the part.
func (p part) isAll() bool { return p.of == 1 && p.only == "" }

func (w *worker) part() part { return part{nth: w.nth, of: w.p.desc.Workers} }

// key reports whether the document under key is of this part.
func (p part) key(key string) bool {
	if p.only != "" {
		return key == p.only
	}
	return p.of == 1 || p.stream(store.StreamID{ID: key})
}

// stream reports whether the stream is of this part.
func (p part) stream(s store.StreamID) bool { return p.of == 1 || s.Partition(p.of) == p.nth }

// maxNameLen keeps the names that stores derive from a view's within what
// file systems and servers accept.
const maxNameLen = 40

// maxWorkers keeps what one view costs within bounds.
const maxWorkers = 64

// common is what all kinds of definitions have.
type common struct {
	kind         kind
	name         string
	version      int
	types        []string
	known        []string // wire types of events
	only         []string
	origins      []string // wire types under which those of only may be stored
	skip         []SkipEvent
	workers      int
	indexes, ddl []string
	from         string // of a reaction; empty if that is not known
	privately
	missing, wrong string // what the kind itself finds missing or wrong
}

func (c common) describe() Description {
	types := slices.Clone(c.types)
	if c.told {
		types = append(types, privacy.SubjectAggregate)
	}
	slices.Sort(types)
	d := Description{
		Name: c.name, Version: max(c.version, 1), Types: slices.Compact(types), Workers: max(c.workers, 1),
		kind: c.kind, skip: map[eventAt]string{}, indexes: c.indexes, tables: c.ddl, from: c.from,
	}
	d.personal, d.told = len(c.fields) > 0, c.told
	d.withheld = d.personal || c.kind == ofTables && len(c.events) > 0 && !c.impersonal
	if len(c.events) > 0 {
		d.private = map[string]bool{}
		for _, name := range c.events {
			d.private[name] = true
		}
	}
	if len(c.only) > 0 {
		d.only = map[string]bool{}
		for _, name := range c.origins {
			d.only[name] = true
		}
	}
	for _, s := range c.skip {
		d.skip[eventAt{s.Stream, s.Version}] = s.Reason
	}
	return d
}

func (c common) validate() error {
	if err := store.ValidateName("view name", c.name); err != nil {
		return err
	}
	if len(c.name) > maxNameLen {
		return &store.TooLargeError{What: "view name", Size: len(c.name), Limit: maxNameLen}
	}
	invalid := func(reason string) error {
		return &store.InvalidError{What: "view", Value: c.name, Reason: reason}
	}
	switch {
	case c.version < 0 || c.version > 9999:
		return invalid("its version is not in 1 to 9999")
	case c.workers < 0 || c.workers > maxWorkers:
		return invalid(fmt.Sprintf("its workers are not 1 to %d", maxWorkers))
	case len(c.types) == 0:
		return invalid("it follows no aggregate type")
	case len(c.known) == 0:
		return invalid("it knows no event types")
	case c.missing != "":
		return invalid("it has no " + c.missing)
	case c.wrong != "":
		return invalid(c.wrong)
	}
	for _, t := range c.types {
		if err := store.ValidateName("aggregate type", t); err != nil {
			return err
		}
	}
	for _, t := range c.only {
		if !slices.Contains(c.known, t) {
			return invalid(fmt.Sprintf("it wants only events %q, which it does not know", t))
		}
	}
	if err := c.privately.validate(c.kind, c.indexes, invalid); err != nil {
		return err
	}
	return c.validateSkip(invalid)
}

func (c common) validateSkip(invalid func(string) error) error {
	for _, s := range c.skip {
		if err := s.Stream.Validate(); err != nil {
			return err
		}
		if s.Version == 0 || s.Reason == "" {
			return invalid(fmt.Sprintf("its skip list names %s version %d without version or reason", s.Stream, s.Version))
		}
	}
	return nil
}
