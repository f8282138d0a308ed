package linear

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Input is one operation on one stream: a command, or a read if Command is nil.
type Input[C any] struct {
	ID      string // of the aggregate instance
	Command *C
}

// Output is how an operation ended.
type Output struct {
	// Unknown: it may have had its effect, at any time after it began.
	Unknown bool
	// Rejected is the domain's text when it said no.
	Rejected string
	// Version is the stream's version after the command, or the one read.
	Version uint64
	// Events are the wire names of the command's events.
	Events []string
	// State is the state that was read, as [Encode] encodes it.
	State string
}

// Encode returns a state's bytes, by which states are compared.
func Encode(state any) string {
	data, err := store.JSON.Marshal(state)
	if err != nil {
		panic(fmt.Sprintf("linear: state cannot be encoded: %v", err))
	}
	return string(data)
}

// world is the model's state of one stream. The aggregate's state is kept as
// bytes: Evolve may change what it is given, and the checker goes back.
type world struct {
	version uint64
	state   string
}

// Model returns the model of an aggregate for operations with Input[C] and
// Output. Every instance is checked by itself.
func Model[S, C, E any](a actor.Aggregate[S, C, E]) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: partition[C],
		Init: func() []any {
			var zero S
			return []any{world{state: Encode(zero)}}
		},
		Step: func(state, input, output any) []any {
			return step(a, state.(world), input.(Input[C]), output.(Output))
		},
		Equal: func(x, y any) bool { return x == y },
		DescribeOperation: func(input, output any) string {
			in := input.(Input[C])
			if in.Command == nil {
				return fmt.Sprintf("read %s -> %+v", in.ID, output)
			}
			return fmt.Sprintf("%s %T%+v -> %+v", in.ID, *in.Command, *in.Command, output)
		},
		DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
	}
	return m.ToModel()
}

func partition[C any](history []porcupine.Operation) [][]porcupine.Operation {
	parts := make(map[string][]porcupine.Operation)
	for _, op := range history {
		id := op.Input.(Input[C]).ID
		parts[id] = append(parts[id], op)
	}
	all := make([][]porcupine.Operation, 0, len(parts))
	for _, part := range parts {
		all = append(all, part)
	}
	return all
}

// step returns the worlds in which an operation with this output can end.
func step[S, C, E any](a actor.Aggregate[S, C, E], w world, in Input[C], out Output) []any {
	if in.Command == nil {
		if out.Unknown || out.Version == w.version && out.State == w.state {
			return []any{w}
		}
		return nil
	}
	next, events, err := decide(a, w, *in.Command)
	switch {
	case out.Unknown && err == nil:
		return []any{w, next}
	case out.Unknown:
		return []any{w}
	case out.Rejected != "":
		if err != nil && err.Error() == out.Rejected {
			return []any{w}
		}
	case err == nil && next.version == out.Version && slices.Equal(events, out.Events):
		return []any{next}
	}
	return nil
}

func decide[S, C, E any](a actor.Aggregate[S, C, E], w world, c C) (next world, names []string, err error) {
	var state S
	if err := store.JSON.Unmarshal([]byte(w.state), &state, false); err != nil {
		panic(fmt.Sprintf("linear: state cannot be decoded: %v", err))
	}
	events, err := a.Decide(state, c)
	if err != nil {
		return w, nil, err
	}
	for _, e := range events {
		name, _ := a.Events.Name(e)
		names = append(names, name)
		state = a.Evolve(state, e)
	}
	return world{version: w.version + uint64(len(events)), state: Encode(state)}, names, nil
}
