package privacy

import (
	"slices"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Join adds the erasures that r does not have, oldest first; a key that is erased by one of all
// these goes. Those of the same id are one, which has answered what either has; if they are of
// different keys, the other one's gets an id of its own, which is the same each time. Where they would
// be more than a record holds, the oldest lose their texts: no erasure is lost. It reports
// whether that changed r.
func (r *Record) Join(erased []Erasure) (changed bool) {
	all := slices.Clone(r.Erased)
	for _, e := range erased {
		n := slices.IndexFunc(all, func(has Erasure) bool { return has.ID == e.ID })
		if n >= 0 {
			if len(r.Erased) <= maxErasures { // or what was condensed would grow again
				changed = all[n].answered(e.Also) || changed
			}
			if e.Key == all[n].Key || e.Key == (store.KeyID{}) || erases(all, e.Key) {
				continue
			}
			e.ID, e.Also = uuid.NewSHA1(e.ID, e.Key[:]), nil
		}
		all = append(all, e)
		changed = true
	}
	slices.SortStableFunc(all, func(a, b Erasure) int { return a.At.Compare(b.At) })
	if changed {
		condense(all)
	}
	r.Erased = all
	if r.Key != (store.KeyID{}) && r.WasErased(r.Key) {
		r.giveUp()
		changed = true
	}
	return changed
}

// answered adds requests that were answered elsewhere, as the older ones, as far as there is room.
// It reports whether any is new.
func (e *Erasure) answered(also []uuid.UUID) bool {
	var more []uuid.UUID
	for _, id := range also {
		if id != e.ID && !slices.Contains(e.Also, id) {
			more = append(more, id)
		}
	}
	room := maxAlso - len(e.Also)
	if room <= 0 || len(more) == 0 {
		return false
	}
	e.Also = slices.Concat(more[max(0, len(more)-room):], e.Also)
	return true
}

// condense takes texts and answered requests from the oldest of more erasures than can be had of one
// subject, until there is room for all and for one more: which keys were erased must never be
// lost, and the audit log has the texts. What is not done keeps them if it can, for its receipt.
func condense(erased []Erasure) {
	over := sizeOf(erased) + maxErasure - maxErased
	if len(erased) <= maxErasures {
		return
	}
	for _, done := range []bool{true, false} {
		for i := range erased {
			e := &erased[i]
			if over <= 0 {
				return
			}
			if e.Done != done {
				continue
			}
			over -= e.size() - bareErasure
			e.By, e.Why, e.Also = "", "", nil
		}
	}
}
