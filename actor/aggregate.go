package actor

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Aggregate defines a kind of aggregate: a value of pure functions. The same
// value runs in production, is specified with package actortest, and is the
// model of a linearizability checker.
//
// S is the state, whose zero value is the state before the first event. C and
// E are the interfaces that its commands and events implement.
type Aggregate[S, C, E any] struct {
	// Type is the aggregate's type name: permanent, lower case.
	Type string
	// Decide returns the events that a command leads to, or the domain's no,
	// whose text reaches the sender. No events and no error is success. It is
	// pure: no clock, no I/O, no randomness; time and ids travel in the command.
	// It never changes the state.
	Decide func(S, C) ([]E, error)
	// Evolve returns the state after an event. It never fails: what has happened
	// cannot be refused. It owns the state it is given and may reuse its maps.
	Evolve func(S, E) S
	// Commands and Events give each type its permanent wire name, and lead from older
	// schemas to those of today: see [store.NewTypes].
	Commands store.Types[C]
	Events   store.Types[E]
	// Merge says whether c may be decided although the events since the version
	// that its sender saw have happened. Optional; without it nothing merges.
	Merge func(c C, since []E) bool
	// StateSchema is the version of S's shape in snapshots. Raise it when S or
	// Evolve changes, and older snapshots are replaced by a replay. Default 1.
	StateSchema int

	_ struct{} // named fields only, so that more can come
}

// Definition is an [Aggregate] of any types.
type Definition interface {
	// TypeName is the aggregate's type name.
	TypeName() string
	// CommandNames are the wire names of its commands, sorted.
	CommandNames() []string
	// EventNames are the wire names of its events, sorted.
	EventNames() []string
	// OldCommandNames are the wire names that commands had, sorted: they are taken
	// all the same.
	OldCommandNames() []string
	// Upcast appends to dst what this build would have stored instead of an event of
	// the aggregate: see [store.Types.Upcast].
	Upcast(dst []store.Event, codec store.Codec, e store.Event) ([]store.Event, error)

	bind(codec store.Codec) (kind, error)
}

// TypeName implements [Definition].
func (a Aggregate[S, C, E]) TypeName() string { return a.Type }

// CommandNames implements [Definition].
func (a Aggregate[S, C, E]) CommandNames() []string { return a.Commands.Names() }

// EventNames implements [Definition].
func (a Aggregate[S, C, E]) EventNames() []string { return a.Events.Names() }

// OldCommandNames implements [Definition].
func (a Aggregate[S, C, E]) OldCommandNames() []string { return a.Commands.OldNames() }

// Upcast implements [Definition].
func (a Aggregate[S, C, E]) Upcast(dst []store.Event, codec store.Codec, e store.Event) (_ []store.Event, err error) {
	defer inEvent(e, &err)
	defer a.contain("upcast", &err)
	upcast, err := a.Events.Upcast(dst, codec, e)
	return upcast, withhold(err, len(e.Personal) > 0)
}

func (a Aggregate[S, C, E]) bind(codec store.Codec) (kind, error) {
	if err := store.ValidateName("aggregate type", a.Type); err != nil {
		return nil, err
	}
	if a.Decide == nil || a.Evolve == nil {
		return nil, fmt.Errorf("aggregate %s: Decide and Evolve are both needed", a.Type)
	}
	if len(a.Commands.Names()) == 0 || len(a.Events.Names()) == 0 {
		return nil, fmt.Errorf("aggregate %s: has no commands or no events", a.Type)
	}
	if a.StateSchema == 0 {
		a.StateSchema = 1
	}
	return &boundAggregate[S, C, E]{Aggregate: a, codec: codec}, nil
}

// kind is an aggregate with its types erased, bound to the codec of a log.
type kind interface {
	Definition
	stateSchema() int
	// storedNames are the wire names that stored events may have.
	storedNames() []string
	// decodeCommand decodes what came from outside; unknown fields are refused.
	// It returns the command's name of today, too.
	decodeCommand(codec store.Codec, name string, schema int, body []byte) (command any, today string, err error)
	// encodeCommand returns what a commit keeps of a decoded command.
	encodeCommand(command any) (store.Encoded, error)
	// decodeKept decodes what a commit kept of a command.
	decodeKept(c *store.Command) (any, error)
	// decodeEvent returns what this build makes of a stored event.
	decodeEvent(e store.Event) ([]any, error)
	types(of TypeKind) []Type
	eventSpans(e store.Event) ([]store.Personal, error)
	commandSpans(c *store.Command) ([]store.Personal, error)
	// history calls yield with what this build makes of a stored event, in order.
	// It reports whether yield wants more.
	history(r store.Recorded[[]byte], yield func(store.Recorded[any]) bool) (more bool, err error)
	// withheld returns an error without what it quotes, if that may be personal.
	withheld(err error) error
	// withoutPersonal returns an encoded command without its personal values: see
	// [store.Types.WithoutPersonal].
	withoutPersonal(codec store.Codec, name string, schema int, body []byte) []byte
	// contain turns a panic of the user's code into an error, deferred.
	contain(in string, err *error)
	merges() bool
	merge(command any, since []store.Event) (bool, error)
	newInstance() instance
}

type boundAggregate[S, C, E any] struct {
	Aggregate[S, C, E]
	codec store.Codec
}

func (b *boundAggregate[S, C, E]) stateSchema() int { return b.StateSchema }
func (b *boundAggregate[S, C, E]) merges() bool     { return b.Merge != nil }
func (b *boundAggregate[S, C, E]) storedNames() []string {
	return append(b.Events.Names(), b.Events.OldNames()...)
}

func (b *boundAggregate[S, C, E]) decodeCommand(codec store.Codec, name string, schema int, body []byte) (_ any, today string, err error) {
	if !b.Commands.Has(name) {
		return nil, "", &store.UnknownTypeError{What: "command", Name: name}
	}
	defer b.contain("upcast", &err)
	c, err := b.Commands.DecodeStrict(codec, name, schema, body)
	if err != nil {
		return nil, "", err
	}
	today, _ = b.Commands.Name(c)
	return c, today, nil
}

func (b *boundAggregate[S, C, E]) withoutPersonal(codec store.Codec, name string, schema int, body []byte) []byte {
	return b.Commands.WithoutPersonal(codec, name, schema, body)
}

func (b *boundAggregate[S, C, E]) encodeCommand(command any) (_ store.Encoded, err error) {
	defer b.contain("encode", &err)
	return b.Commands.Encode(b.codec, command.(C))
}

func (b *boundAggregate[S, C, E]) history(r store.Recorded[[]byte], yield func(store.Recorded[any]) bool) (bool, error) {
	values, err := b.decode(nil, eventOf(r))
	if err != nil {
		return false, err
	}
	r.Shredded = store.ShreddedIn(b.codec, r.Data)
	for nth, v := range values {
		if part := b.Events.Part(r, nth, v); !yield(store.WithData(part, any(v))) {
			return false, nil
		}
	}
	return true, nil
}

// decode appends what this build makes of a stored event.
func (b *boundAggregate[S, C, E]) decode(dst []E, e store.Event) (_ []E, err error) {
	defer inEvent(e, &err)
	defer b.contain("upcast", &err)
	all, err := b.Events.DecodeAll(dst, b.codec, e.Type, e.Schema, e.Data)
	return all, withhold(err, len(e.Personal) > 0)
}

func (b *boundAggregate[S, C, E]) merge(command any, since []store.Event) (ok bool, err error) {
	events := make([]E, 0, len(since))
	for _, stored := range since {
		if events, err = b.decode(events, stored); err != nil {
			return false, err
		}
	}
	defer b.contain("merge", &err)
	return b.Merge(command.(C), events), nil
}

func (b *boundAggregate[S, C, E]) newInstance() instance {
	return &typedInstance[S, C, E]{aggregate: b}
}

// inEvent notes which stored event was read when the user's code panicked.
func inEvent(e store.Event, err *error) {
	if *err == nil {
		return
	}
	if p, ok := errors.AsType[*PanicError](*err); ok {
		p.Event, p.Schema = e.Type, e.Schema
	}
}

// named fills in whose error it is, which the aggregate's code cannot know.
func named(err error, stream store.StreamID, command string) error {
	if p, ok := errors.AsType[*PanicError](err); ok {
		p.Stream = stream
	}
	if r, ok := errors.AsType[*RejectedError](err); ok {
		r.Stream, r.Command = stream, command
	}
	return err
}
