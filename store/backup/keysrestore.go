package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// KeysRestored says what a restore of keys has done.
type KeysRestored struct {
	// Records is how many records the copy has, Stored how many of them were stored
	// because the key store did not have all of what they say.
	Records uint64 `json:"records"`
	Stored  uint64 `json:"stored"`
	// Erased is how many keys stay erased because one of the two knows that they were,
	// though the other still had them.
	Erased uint64 `json:"erased"`
	// Reopened is how many erasures are not done any more because their notice is beyond
	// the log's end: forgetting these subjects again takes the steps that are missing.
	Reopened uint64 `json:"reopened"`
	// Conflicts is how many subjects have two keys: the key store keeps its own, and the
	// data under the copy's cannot be read.
	Conflicts uint64 `json:"conflicts,omitempty"`
}

// restoreTries is how often a record is stored again that changed meanwhile.
const restoreTries = 8

// Restore gives a key store what the copy has, record by record: a key that it has no
// other for, and every erasure. A key that one of the two knows to be erased is erased
// afterwards, whatever the other has. end is the last position of the log that the keys
// are for; 0: as far as the erasures say. It may be called again, and must be if it was
// interrupted: a key that is not there yet would be made anew. Errors: [store.ErrInvalid]
// if the key store is of another realm, a [*KeyConflicts] at the end if it has other keys
// of subjects that were not erased, and those of the key store and the copy.
func (c *KeysCopy) Restore(ctx context.Context, keys privacy.Keys, end store.Position) (done KeysRestored, err error) {
	if err := c.fits(keys); err != nil {
		return done, fmt.Errorf("restore keys: %w", err)
	}
	conflicts := &KeyConflicts{}
	for r, err := range c.Records(ctx) {
		if err == nil {
			if !r.IsWrapping() {
				done.Records++
			}
			err = restoreRecord(ctx, keys, r, end, &done, conflicts)
		}
		if err != nil {
			return done, fmt.Errorf("restore keys: %w", err)
		}
	}
	done.Conflicts = conflicts.Count
	return done, conflicts.or()
}

func (c *KeysCopy) fits(keys privacy.Keys) error {
	if keys.Realm() == c.manifest.Realm {
		return nil
	}
	return &store.InvalidError{What: "realm of the key store", Value: keys.Realm().String(), Reason: "the copy is of realm " + c.manifest.Realm.String()}
}

// restoreRecord joins one record. Also of two keys, of which the copy's is left out, the
// erasures are joined.
func restoreRecord(ctx context.Context, keys privacy.Keys, kept privacy.Record, end store.Position, done *KeysRestored, conflicts *KeyConflicts) error {
	for try := 1; ; try++ {
		has, err := keys.Load(ctx, kept.Subject)
		if err != nil {
			return err
		}
		m := merging{has: has, kept: kept, end: end}
		m.run()
		revision := has.Revision
		if m.changed {
			revision, err = keys.Store(ctx, m.merged)
		}
		switch {
		case err == nil:
			m.count(done)
			if m.conflict {
				conflicts.add(KeyConflict{Subject: kept.Subject, Has: m.merged.Key, Copy: kept.Key})
			}
			return keys.Erase(ctx, kept.Subject, revision)
		case try == restoreTries, ctx.Err() != nil:
			return err
		case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown):
			return err
		}
	}
}

// merging makes one record of two of the same subject.
type merging struct {
	has, kept privacy.Record
	end       store.Position

	merged   privacy.Record
	changed  bool // from has
	dropped  bool // a key that one of the two has
	conflict bool // both have a key that was not erased
	reopened uint64
}

func (m *merging) count(done *KeysRestored) {
	if m.changed {
		done.Stored++
	}
	if m.dropped {
		done.Erased++
	}
	done.Reopened += m.reopened
}

func (m *merging) run() {
	m.merged = m.has
	m.erasures()
	m.key()
}

// erasures joins what was erased, oldest first, and has a key go that was.
func (m *merging) erasures() {
	had := m.has.Key
	m.changed = m.merged.Join(m.kept.Erased)
	m.dropped = m.merged.Key != had
	all := slices.Clone(m.merged.Erased)
	for i := range all {
		if e := &all[i]; e.Done && m.end > 0 && e.Notice > m.end {
			e.Done, e.Finished, e.Notice = false, time.Time{}, 0
			m.changed = true
			m.reopened++
		}
	}
	m.merged.Erased = all
}

// key takes the copy's key if it was not erased: never one of two.
func (m *merging) key() {
	none := store.KeyID{}
	r, kept := &m.merged, &m.kept
	switch {
	case kept.Key == none || kept.Key == r.Key:
	case r.WasErased(kept.Key):
		m.dropped = true
	case r.Key == none:
		r.Key, r.Wrapped, r.WrappedBy, r.Made = kept.Key, kept.Wrapped, kept.WrappedBy, kept.Made
		m.changed = true
	default:
		m.conflict = true
	}
}
