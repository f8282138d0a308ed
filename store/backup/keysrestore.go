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
}

// restoreTries is how often a record is stored again that changed meanwhile.
const restoreTries = 8

// Restore gives a key store what the copy has, record by record: a key that it has no
// other for, and every erasure. A key that one of the two knows to be erased is erased
// afterwards, whatever the other has. end is the last position of the log that the keys
// are for; 0: as far as the erasures say. It may be called again. Errors:
// [store.ErrInvalid] if the key store is of another realm, [store.ErrConflict] if it has
// another key for a subject that was not erased, and those of the key store and the copy.
func (c *KeysCopy) Restore(ctx context.Context, keys privacy.Keys, end store.Position) (done KeysRestored, err error) {
	if err := c.fits(keys); err != nil {
		return done, fmt.Errorf("restore keys: %w", err)
	}
	for r, err := range c.Records(ctx) {
		if err == nil {
			if !r.IsWrapping() {
				done.Records++
			}
			err = restoreRecord(ctx, keys, r, end, &done)
		}
		if err != nil {
			return done, fmt.Errorf("restore keys: %w", err)
		}
	}
	return done, nil
}

func (c *KeysCopy) fits(keys privacy.Keys) error {
	if keys.Realm() == c.manifest.Realm {
		return nil
	}
	return &store.InvalidError{What: "realm of the key store", Value: keys.Realm().String(), Reason: "the copy is of realm " + c.manifest.Realm.String()}
}

func restoreRecord(ctx context.Context, keys privacy.Keys, kept privacy.Record, end store.Position, done *KeysRestored) error {
	for try := 1; ; try++ {
		has, err := keys.Load(ctx, kept.Subject)
		if err != nil {
			return err
		}
		m := merging{has: has, kept: kept, end: end}
		if err := m.run(); err != nil {
			return err
		}
		revision := has.Revision
		if m.changed {
			revision, err = keys.Store(ctx, m.merged)
		}
		switch {
		case err == nil:
			m.count(done)
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

func (m *merging) run() error {
	m.merged = m.has
	m.erasures()
	return m.key()
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
func (m *merging) key() error {
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
		return fmt.Errorf("%w: the key store has key %s for %q, the copy %s, and neither was erased", store.ErrConflict, r.Key, r.Subject, kept.Key)
	}
	return nil
}
