package actor

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/annals-go/annals/store"
)

// Difference is what became of an instance between two moments.
type Difference struct {
	From, To State
	// Changes make the state at To of that at From, both in JSON; none if they are
	// equal.
	Changes []Change
}

// Diff compares the states at two moments, each folded from the log as
// [System.State] does. From may be the later one. Errors: those of
// [System.State] for either.
func (s *System) Diff(ctx context.Context, stream store.StreamID, from, to At) (d Difference, err error) {
	if d.From, err = s.State(ctx, stream, from); err != nil {
		return Difference{}, err
	}
	if d.To, err = s.State(ctx, stream, to); err != nil {
		return Difference{}, err
	}
	k := s.kinds[stream.Type]
	was, err := jsonOf(k, d.From.Value)
	if err == nil {
		var is any
		if is, err = jsonOf(k, d.To.Value); err == nil {
			d.Changes = differences(was, is)
		}
	}
	if err != nil {
		return Difference{}, fmt.Errorf("compare states of %s: %w", stream, s.reportPanic(named(err, stream, "")))
	}
	return d, nil
}

// Changes yields what each event that follows a version, 0 for all of them,
// changed in the state: as Data, with the rest of the stored event. What an event
// changed that this build makes several of is told at once. The last pair has the
// error, if any: those of [System.State], but for a stream without such events,
// which yields nothing.
//
// The events before are folded first; each event costs as much as the state is large.
func (s *System) Changes(ctx context.Context, stream store.StreamID, after uint64) iter.Seq2[store.Recorded[[]Change], error] {
	return func(yield func(store.Recorded[[]Change], error) bool) {
		err := s.changes(ctx, stream, after, func(r store.Recorded[[]Change]) bool { return yield(r, nil) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.Recorded[[]Change]{}, fmt.Errorf("read changes of %s: %w", stream, err))
		}
	}
}

// errEnough says that whoever reads wants no more.
var errEnough = errors.New("enough")

func (s *System) changes(ctx context.Context, stream store.StreamID, after uint64, yield func(store.Recorded[[]Change]) bool) error {
	if err := stream.Validate(); err != nil {
		return err
	}
	k, err := s.kindOf(stream)
	if err != nil {
		return err
	}
	l, err := s.changesFrom(ctx, k, stream, after)
	if err != nil {
		return err
	}
	if l != nil {
		told := &telling{kind: k, codec: s.config.Log.Codec(), live: l, after: after, yield: yield}
		if err = s.tell(ctx, stream, told); !errors.Is(err, store.ErrDamaged) || told.begun {
			return err // else a replay tells whether it is the snapshot
		}
	}
	return s.tell(ctx, stream, &telling{kind: k, codec: s.config.Log.Codec(), live: &live{instance: k.newInstance()}, after: after, yield: yield})
}

// changesFrom returns a state to begin with, nil for that before the first event.
func (s *System) changesFrom(ctx context.Context, k *registered, stream store.StreamID, after uint64) (*live, error) {
	if after == 0 {
		return nil, nil
	}
	return s.startBefore(ctx, k, stream, At{Version: after})
}

// telling follows a state through the events of its stream.
type telling struct {
	kind  *registered
	codec store.Codec
	live  *live
	after uint64
	yield func(store.Recorded[[]Change]) bool
	begun bool
	state any // in JSON, once begun
}

func (s *System) tell(ctx context.Context, stream store.StreamID, t *telling) error {
	for c, err := range s.config.Log.Read(ctx, stream, t.live.head) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = t.commit(ctx, c)
		}
		if err != nil {
			return s.reportPanic(named(err, stream, ""))
		}
	}
	return nil
}

// commit looks at ctx for each event that is told: that may take long.
func (t *telling) commit(ctx context.Context, c *store.Commit) error {
	for r := range c.Recorded() {
		told := r.Version > t.after
		if told && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.begin(told); err != nil {
			return err
		}
		if err := t.live.instance.evolve(eventOf(r)); err != nil {
			return stored(err, c, r.Version)
		}
		if told {
			if err := t.tell(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin notes the state before the first event that is told.
func (t *telling) begin(told bool) (err error) {
	if told && !t.begun {
		t.begun = true
		t.state, err = jsonOf(t.kind, t.live.instance.value())
	}
	return err
}

func (t *telling) tell(r store.Recorded[[]byte]) error {
	state, err := jsonOf(t.kind, t.live.instance.value())
	if err != nil {
		return err
	}
	r.Shredded = store.ShreddedIn(t.codec, r.Data)
	changes := differences(t.state, state)
	t.state = state
	if !t.yield(store.WithData(r, changes)) {
		return errEnough
	}
	return nil
}
