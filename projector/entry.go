package projector

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// errNothing: there is nothing to be changed.
var errNothing = errors.New("nothing to do")

// The methods below return what an entry becomes. They leave the entry itself,
// and what it points to, as they are.

// begin has a model built: beside the live one, or in its place. What was kept
// for a roll-back goes.
func (e Entry) begin(k Kept, r Rebuild, now time.Time) Entry {
	if e.Previous != nil {
		e = e.drop(e.Previous.Model)
	}
	e.Builds = e.built(k)
	e.Previous, e.Parity, e.Rebuild, e.Began = nil, nil, &r, now.UTC().Truncate(time.Millisecond)
	if r.Online {
		e.Candidate = &k
		return e
	}
	was := e.Live
	e.Live, e.Previous, e.Settling = k, &was, true
	return e
}

// promote makes the candidate the live model.
func (e Entry) promote() Entry {
	was := e.Live
	if e.Previous != nil {
		e = e.drop(e.Previous.Model)
	}
	e.Live, e.Previous, e.Candidate, e.Rebuild, e.Settling = *e.Candidate, &was, nil, nil, true
	return e
}

// rollback makes the previous model the live one, and the other way round.
func (e Entry) rollback() Entry {
	was := e.Live
	e.Live, e.Previous, e.Settling = *e.Previous, &was, true
	return e
}

// cancel gives up what is being built.
func (e Entry) cancel() (Entry, error) {
	switch {
	case e.Candidate != nil:
		e = e.drop(e.Candidate.Model)
		e.Candidate, e.Rebuild, e.Parity = nil, nil, nil
	case e.inPlace() && e.Previous != nil:
		e = e.drop(e.Live.Model)
		e.Live, e.Previous, e.Rebuild = *e.Previous, nil, nil
	default:
		return e, ErrNoCandidate
	}
	return e, nil
}

// retire gives up the previous model.
func (e Entry) retire() (Entry, error) {
	if e.Previous == nil || e.inPlace() {
		return e, ErrNoPrevious
	}
	e = e.drop(e.Previous.Model)
	e.Previous = nil
	return e, nil
}

// succeed puts the next version of a reaction in the live one's place.
func (e Entry) succeed(k Kept) Entry {
	e = e.drop(e.Live.Model)
	e.Live, e.Builds = k, e.built(k)
	return e
}

// built is the highest builds with that model's.
func (e Entry) built(k Kept) map[int]int {
	builds := maps.Clone(e.Builds)
	if builds == nil {
		builds = map[int]int{}
	}
	builds[k.Version] = k.Build
	return builds
}

// settle says that the live model has been seen to be as far as it has to. What
// it took the place of for good goes.
func (e Entry) settle() Entry {
	if e.inPlace() {
		if e.Previous != nil {
			e = e.drop(e.Previous.Model)
		}
		e.Previous, e.Rebuild = nil, nil
	}
	e.Settling = false
	return e
}

func (e Entry) drop(m Model) Entry {
	e.Dropping = append(slices.Clone(e.Dropping), m)
	return e
}

// dropped says that the model is not in the store any more.
func (e Entry) dropped(m Model) (Entry, error) {
	i := slices.Index(e.Dropping, m)
	if i < 0 {
		return e, errNothing
	}
	e.Dropping = slices.Delete(slices.Clone(e.Dropping), i, i+1)
	return e, nil
}
