package privacy

import (
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// NewImportLog is [NewLog] for commits that were decided before, elsewhere: one that is not
// younger than the last erasure of somebody whose data it has is refused with
// [store.ErrErased], so that nobody is brought back who is forgotten while a file is
// imported. Whoever imports leaves out what is about them, and appends again.
//
// For what is decided now this would be wrong: clocks of nodes differ.
func NewImportLog(log store.Log, keys *Keyring) *Log {
	l := NewLog(log, keys)
	l.older = true
	return l
}

// notOlder looks at the very records whose keys were used. If one of these was erased
// since, what is sealed under it is dead from birth.
func (l *Log) notOlder(c *store.Commit, used []store.KeyRef) error {
	if !l.older {
		return nil
	}
	for _, ref := range used {
		at, known := l.keys.lastErasure(ref)
		if !known {
			return unavailable("look when somebody was forgotten", fmt.Errorf("the key of %q was dropped meanwhile", ref.Subject))
		}
		if !at.IsZero() && !at.Before(c.Time) {
			return fmt.Errorf("%w: %q was forgotten at %s, after this was decided: import it again, which leaves that out", store.ErrErased, ref.Subject, at.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// lastErasure returns when a subject was forgotten last before it got the key; zero if
// never, or if the key itself was erased since. It is not known if the key is not held.
func (k *Keyring) lastErasure(ref store.KeyRef) (at time.Time, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.peek(ref.Subject)
	switch {
	case k.erasures.has(ref.ID):
		return at, true
	case h == nil || !h.holds(ref.ID):
		return at, false
	}
	return h.since, true
}
