package actor

import (
	"bytes"
	"reflect"

	"github.com/annals-go/annals/store"
)

// Model is an aggregate as this build defines it, for those who look at a log
// without serving it: they fold what is stored, and decide again what was
// decided. It stores nothing and may be used from many goroutines.
type Model struct {
	kind  kind
	codec store.Codec
}

// NewModel binds an aggregate to the codec of a log. The error is that of
// [NewSystem] for an aggregate that cannot be run.
func NewModel(d Definition, codec store.Codec) (*Model, error) {
	k, err := d.bind(codec)
	if err != nil {
		return nil, err
	}
	return &Model{kind: k, codec: codec}, nil
}

// TypeName is the aggregate's type name.
func (m *Model) TypeName() string { return m.kind.TypeName() }

// StateSchema is the version of the state's shape in snapshots.
func (m *Model) StateSchema() int { return m.kind.stateSchema() }

// CheckEvent reports why this build cannot read a stored event, nil if it can.
// The error is that of decoding, or a [*PanicError].
func (m *Model) CheckEvent(e store.Event) error {
	_, err := m.kind.decodeEvent(e)
	return err
}

// Upcast returns what a stored event is to this build, as this build stores it.
func (m *Model) Upcast(e store.Event) ([]store.Event, error) {
	return m.kind.Upcast(nil, m.codec, e)
}

// EventJSON returns an event of this build's schema as JSON.
func (m *Model) EventJSON(e store.Event) (data []byte, err error) {
	defer m.kind.contain("encode", &err)
	v, err := m.value(e)
	if err != nil {
		return nil, err
	}
	return store.JSON.Marshal(v)
}

// value decodes an event of this build's schema, which is one value.
func (m *Model) value(e store.Event) (any, error) {
	values, err := m.kind.decodeEvent(e)
	if err == nil && len(values) != 1 {
		err = &store.InvalidError{What: "event", Value: e.Type, Reason: "it is not of this build's schema"}
	}
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// NewReplica returns an instance before its first event.
func (m *Model) NewReplica() *Replica { return &Replica{model: m, instance: m.kind.newInstance()} }

// Replica is one aggregate instance that nobody serves. It belongs to one
// goroutine, and is of no use after an error of Evolve.
type Replica struct {
	model    *Model
	instance instance
}

// Evolve folds a stored event. The error is that of decoding, or a [*PanicError].
func (r *Replica) Evolve(e store.Event) error { return r.instance.evolve(e) }

// Decide decides a command that a commit kept, on the state as it is, and
// leaves the state as it is. The errors are a [*RejectedError], a [*PanicError],
// and those of decoding.
func (r *Replica) Decide(c *store.Command) ([]store.Event, error) {
	command, err := r.model.kind.decodeKept(c)
	if err != nil {
		return nil, err
	}
	return r.instance.decide(command, 0, nil)
}

// Load replaces the state by an encoded one, such as a snapshot's.
func (r *Replica) Load(state []byte) (err error) {
	defer r.model.kind.contain("decode", &err)
	return r.instance.decode(state)
}

// StateJSON returns the state as JSON.
func (r *Replica) StateJSON() (data []byte, err error) {
	defer r.model.kind.contain("encode", &err)
	return store.JSON.Marshal(r.instance.value())
}

// Same reports whether the state is the one that was encoded. The order of a
// map's entries makes no difference.
func (r *Replica) Same(state []byte) (bool, error) {
	own, err := r.instance.encode()
	if err != nil || bytes.Equal(own, state) {
		return err == nil, err
	}
	a, b := r.model.NewReplica(), r.model.NewReplica()
	if err := a.Load(own); err != nil {
		return false, err
	}
	if err := b.Load(state); err != nil {
		return false, err
	}
	return reflect.DeepEqual(a.instance.value(), b.instance.value()), nil
}

// SameEvents reports whether two lists of events are equal, name by name and
// value by value. Both must be of this build's schema.
func (m *Model) SameEvents(a, b []store.Event) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if a[i].Type != b[i].Type {
			return false, nil
		}
		same, err := m.sameEvent(a[i], b[i])
		if !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m *Model) sameEvent(a, b store.Event) (bool, error) {
	if bytes.Equal(a.Data, b.Data) {
		return true, nil
	}
	x, err := m.value(a)
	if err != nil {
		return false, err
	}
	y, err := m.value(b)
	if err != nil {
		return false, err
	}
	return reflect.DeepEqual(x, y), nil
}

func (b *boundAggregate[S, C, E]) decodeKept(c *store.Command) (_ any, err error) {
	defer b.contain("upcast", &err)
	command, err := b.Commands.Decode(b.codec, c.Name, c.Schema, c.Data)
	return command, withhold(err, len(c.Personal) > 0)
}

func (b *boundAggregate[S, C, E]) decodeEvent(e store.Event) ([]any, error) {
	values, err := b.decode(nil, e)
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all, err
}
