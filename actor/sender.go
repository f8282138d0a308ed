package actor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Sender sends commands of one aggregate to a system in the same process. [For]
// makes one; it may be used from many goroutines.
type Sender[S, C, E any] struct {
	system    *System
	aggregate Aggregate[S, C, E]
}

// For binds a system to an aggregate's types. The aggregate must be one of the
// system's.
func For[S, C, E any](s *System, a Aggregate[S, C, E]) Sender[S, C, E] {
	return Sender[S, C, E]{system: s, aggregate: a}
}

// Execute sends a command to the instance with this id; see [System.Execute].
func (s Sender[S, C, E]) Execute(ctx context.Context, id string, c C) (Result, error) {
	return s.ExecuteWith(ctx, id, c, Command{})
}

// ExecuteWith is Execute with the id, expectation and metadata of with; its
// stream, name, body, codec and schema are not looked at.
func (s Sender[S, C, E]) ExecuteWith(ctx context.Context, id string, c C, with Command) (Result, error) {
	name, known := s.aggregate.Commands.Name(c)
	if !known {
		return Result{}, &store.UnknownTypeError{What: "command", Name: fmt.Sprintf("%T", c)}
	}
	with.Stream, with.Name, with.value = store.StreamID{Type: s.aggregate.Type, ID: id}, name, c
	if with.ID != "" { // another body under the same id must be told apart
		body, err := json.Marshal(c)
		if err != nil {
			return Result{}, &store.InvalidError{What: "command", Value: name, Reason: err.Error()}
		}
		with.Body = body
	}
	return s.system.Execute(ctx, with)
}

// State returns the instance's state and version as the log has them. A stream
// without events has the zero state and version 0.
func (s Sender[S, C, E]) State(ctx context.Context, id string) (state S, version uint64, err error) {
	at, err := s.system.State(ctx, store.StreamID{Type: s.aggregate.Type, ID: id}, At{})
	if err != nil {
		return state, 0, ignoreNotFound(err)
	}
	return at.Value.(S), at.Version, nil
}
