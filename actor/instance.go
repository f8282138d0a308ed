package actor

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// instance is the state of one aggregate instance with its type erased.
type instance interface {
	// decide decides a command and appends its encoded events to dst. The state
	// is unchanged until apply.
	decide(command any, index int, dst []store.Event) ([]store.Event, error)
	// apply evolves the state by the events of the last decide, discard drops these.
	apply() error
	discard()
	// evolve evolves the state by a stored event.
	evolve(e store.Event) error
	encode() ([]byte, error)
	decode(data []byte) error
	// value returns the state itself, not a copy.
	value() any
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
	defer i.aggregate.contain("encode", &err)
	for _, e := range events {
		encoded, err := i.aggregate.Events.Encode(i.aggregate.codec, e)
		if err != nil {
			return dst, fmt.Errorf("%w: encode event: %w", ErrInternal, i.aggregate.withheld(err))
		}
		dst = append(dst, encoded.Event(index))
	}
	i.decided = events
	return dst, nil
}

func (i *typedInstance[S, C, E]) callDecide(command C) (events []E, err error) {
	defer i.aggregate.contain("decide", &err)
	events, err = i.aggregate.Decide(i.state, command)
	if err != nil {
		return nil, &RejectedError{Reason: err}
	}
	return events, nil
}

func (i *typedInstance[S, C, E]) apply() (err error) {
	defer i.aggregate.contain("evolve", &err)
	for _, e := range i.decided {
		i.state = i.aggregate.Evolve(i.state, e)
	}
	i.decided = nil
	return nil
}

func (i *typedInstance[S, C, E]) discard() { i.decided = nil }

func (i *typedInstance[S, C, E]) evolve(stored store.Event) (err error) {
	events, err := i.aggregate.decode(i.room[:0], stored)
	if err != nil {
		return err
	}
	defer inEvent(stored, &err)
	defer i.aggregate.contain("evolve", &err)
	for _, e := range events {
		i.state = i.aggregate.Evolve(i.state, e)
	}
	clear(i.room[:]) // an idle actor keeps no event
	return nil
}

func (i *typedInstance[S, C, E]) encode() (_ []byte, err error) {
	defer i.aggregate.contain("encode", &err)
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
