package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// carryTries is how often a record is stored again that changed meanwhile.
const carryTries = 8

// CarryErasures gives a key store the erasures that another one of another realm has: who
// was forgotten there is known to be here. A key that a subject has here is given up
// with an erasure that is new here, for it may seal what was forgotten there. It may be
// called again, and returns how many erasures were new. Errors are those of the two
// key stores.
func CarryErasures(ctx context.Context, from, to Keys) (carried int, err error) {
	for r, err := range from.All(ctx) {
		if err == nil && len(r.Erased) > 0 {
			var n int
			n, err = carry(ctx, r, to)
			carried += n
		}
		if err != nil {
			return carried, fmt.Errorf("carry erasures over: %w", err)
		}
	}
	return carried, nil
}

func carry(ctx context.Context, kept Record, to Keys) (carried int, err error) {
	for try := 1; ; try++ {
		r, err := to.Load(ctx, kept.Subject)
		if err != nil {
			return 0, err
		}
		n, changed := r.takeErasures(kept.Erased)
		revision := r.Revision
		if changed {
			revision, err = to.Store(ctx, r)
		}
		switch {
		case err == nil:
			return n, to.Erase(ctx, kept.Subject, revision)
		case try == carryTries, !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown):
			return 0, err
		}
	}
}

// takeErasures adds those that r does not have, and gives its key up with the last of them.
func (r *Record) takeErasures(from []Erasure) (taken int, changed bool) {
	carried := slices.Clone(from)
	var last Erasure
	for i := range carried {
		e := &carried[i]
		e.Notice = 0 // which says a place in the other log
		if !r.knows(*e) {
			last = *e
			taken++
		}
	}
	if taken > 0 && r.Key != (store.KeyID{}) {
		last.ID, last.Key, last.Also = uuid.NewSHA1(last.ID, r.Key[:]), r.Key, nil
		carried = append(carried, last)
	}
	return taken, r.Join(carried)
}

// knows reports whether r has an erasure of the id.
func (r *Record) knows(e Erasure) bool {
	return slices.ContainsFunc(r.Erased, func(has Erasure) bool { return has.ID == e.ID })
}
