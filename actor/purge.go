package actor

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/annals-go/annals/store"
)

// Purge drops from memory every actor whose state was folded from data under one of the
// keys, and every snapshot of such a state that waits to be written. When it has
// returned nil, no state here that was loaded before holds anything of these data: turns
// and writes that were under way have ended. The actors serve on, from what the log
// then says.
//
// The keys must be erased, and the log's keyring must know it, before Purge is called:
// what is loaded afterwards is loaded without these data. What an actor with
// personal data is asked next finds that out by itself; Purge is for those that are not
// asked. A partition that was given up is not waited for: what still runs there is never
// answered from. The error is that ctx ended first, and matches [store.ErrUnavailable].
func (s *System) Purge(ctx context.Context, erased []store.KeyRef) error {
	if len(erased) == 0 {
		return nil
	}
	p := &purge{erased: erased}
	for i := range s.table {
		s.purgeIn(s.table[i].Load(), p)
	}
	waitFor(ctx, &p.left)
	if ctx.Err() != nil {
		return fmt.Errorf("purge actors: %w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	return nil
}

// purge is one call of Purge.
type purge struct {
	erased []store.KeyRef
	left   sync.WaitGroup // actors and snapshots that are waited for
}

// purgeIn looks at the idle actors of a partition, and has the others looked at as soon
// as nobody works on their state.
func (s *System) purgeIn(part *partition, p *purge) {
	part.mu.Lock()
	defer part.mu.Unlock()
	for _, a := range part.actors {
		switch {
		case a.running:
			if part.purges == nil {
				part.purges = map[*actor][]*purge{}
			}
			part.purges[a] = append(part.purges[a], p)
			p.left.Add(1)
		case p.take(a):
			s.remove(a)
		}
	}
}

// purged is called with mu held, by whoever owns the actor's state and is about to leave it
// alone or to begin anew.
func (part *partition) purged(a *actor) {
	waiting, ok := part.purges[a]
	if !ok {
		return
	}
	delete(part.purges, a)
	for _, p := range waiting {
		p.take(a)
		p.left.Done()
	}
}

// take takes from an actor what it must not have, and reports whether that was its state.
// It is called with the partition's mu held, by who owns the state.
func (p *purge) take(a *actor) bool {
	if j := a.saving; j != nil && j.snapshot != nil && holds(j.snapshot.Keys, p.erased) {
		if j.writing {
			p.left.Add(1)
			j.purges = append(j.purges, p)
		} else {
			j.snapshot = nil // nobody is to write it
		}
	}
	if a.live == nil || !a.live.keys.holdAny(p.erased) {
		return false
	}
	a.live = nil
	return true
}

func holds(all, any []store.KeyRef) bool {
	return slices.ContainsFunc(all, func(ref store.KeyRef) bool { return slices.Contains(any, ref) })
}
