package actor

import (
	"errors"
	"fmt"
	"runtime/debug"

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
	defer contain("upcast", &err)
	return a.Events.Upcast(dst, codec, e)
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
	// history calls yield with what this build makes of a stored event, in order.
	// It reports whether yield wants more.
	history(r store.Recorded[[]byte], yield func(store.Recorded[any]) bool) (more bool, err error)
	merges() bool
	merge(command any, since []store.Event) (bool, error)
	newInstance() instance
}

// instance is the state of one aggregate instance with its type erased.
type instance interface {
	// decide decides a command and appends its encoded events to dst. The state
	// is unchanged until apply.
	decide(command any, index int, dst []store.Event) ([]store.Event, error)
	// apply evolves the state by the events of the last decide.
	apply() error
	// evolve evolves the state by a stored event.
	evolve(e store.Event) error
	encode() ([]byte, error)
	decode(data []byte) error
	// value returns the state itself, not a copy.
	value() any
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
	defer contain("upcast", &err)
	c, err := b.Commands.DecodeStrict(codec, name, schema, body)
	if err != nil {
		return nil, "", err
	}
	today, _ = b.Commands.Name(c)
	return c, today, nil
}

func (b *boundAggregate[S, C, E]) encodeCommand(command any) (_ store.Encoded, err error) {
	defer contain("encode", &err)
	return b.Commands.Encode(b.codec, command.(C))
}

func (b *boundAggregate[S, C, E]) history(r store.Recorded[[]byte], yield func(store.Recorded[any]) bool) (bool, error) {
	values, err := b.decode(nil, store.Event{Type: r.Type, Schema: r.Schema, Data: r.Data})
	if err != nil {
		return false, err
	}
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
	defer contain("upcast", &err)
	return b.Events.DecodeAll(dst, b.codec, e.Type, e.Schema, e.Data)
}

func (b *boundAggregate[S, C, E]) merge(command any, since []store.Event) (ok bool, err error) {
	events := make([]E, 0, len(since))
	for _, stored := range since {
		if events, err = b.decode(events, stored); err != nil {
			return false, err
		}
	}
	defer contain("merge", &err)
	return b.Merge(command.(C), events), nil
}

func (b *boundAggregate[S, C, E]) newInstance() instance {
	return &typedInstance[S, C, E]{aggregate: b}
}

type typedInstance[S, C, E any] struct {
	aggregate *boundAggregate[S, C, E]
	state     S
	decided   []E
	room      [1]E // for what replay decodes: usually one value of one event
}

func (i *typedInstance[S, C, E]) decide(command any, index int, dst []store.Event) (_ []store.Event, err error) {
	events, err := i.callDecide(command.(C))
	if err != nil {
		return dst, err
	}
	defer contain("encode", &err)
	for _, e := range events {
		encoded, err := i.aggregate.Events.Encode(i.aggregate.codec, e)
		if err != nil {
			return dst, fmt.Errorf("%w: encode event: %w", ErrInternal, err)
		}
		dst = append(dst, encoded.Event(index))
	}
	i.decided = events
	return dst, nil
}

func (i *typedInstance[S, C, E]) callDecide(command C) (events []E, err error) {
	defer contain("decide", &err)
	events, err = i.aggregate.Decide(i.state, command)
	if err != nil {
		return nil, &RejectedError{Reason: err}
	}
	return events, nil
}

func (i *typedInstance[S, C, E]) apply() (err error) {
	defer contain("evolve", &err)
	for _, e := range i.decided {
		i.state = i.aggregate.Evolve(i.state, e)
	}
	i.decided = nil
	return nil
}

func (i *typedInstance[S, C, E]) evolve(stored store.Event) (err error) {
	events, err := i.aggregate.decode(i.room[:0], stored)
	if err != nil {
		return err
	}
	defer inEvent(stored, &err)
	defer contain("evolve", &err)
	for _, e := range events {
		i.state = i.aggregate.Evolve(i.state, e)
	}
	clear(i.room[:]) // an idle actor keeps no event
	return nil
}

func (i *typedInstance[S, C, E]) encode() (_ []byte, err error) {
	defer contain("encode", &err)
	return i.aggregate.codec.Marshal(i.state)
}

func (i *typedInstance[S, C, E]) decode(data []byte) error {
	var state S
	if err := i.aggregate.codec.Unmarshal(data, &state, false); err != nil {
		return err
	}
	i.state = state
	return nil
}

func (i *typedInstance[S, C, E]) value() any { return i.state }

// contain turns a panic of the user's code into an error: it must not take
// down the other actors of the process.
func contain(in string, err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{In: in, Value: v, Stack: debug.Stack()}
	}
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
