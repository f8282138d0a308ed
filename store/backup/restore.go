package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/segment"
)

// Target is where a backup is restored to: an empty namespace, or one in which
// this restore was interrupted, that nobody else writes to.
type Target struct {
	// Loader stores the commits. Required.
	Loader Loader
	// Log reads what was stored, to compare. Required.
	Log store.Log
	// Snapshots takes the snapshots. Default nil: they are not restored.
	Snapshots store.Snapshots
	// Tables take their values, by name; a table that is not here is not restored.
	Tables []Table
	// Keys is the key store of the namespace, of the backup's realm, and KeysFrom where
	// the copy of the keys is kept. Default nil: the keys are left as they are.
	Keys     privacy.Keys
	KeysFrom segment.Vault
}

// Loader stores commits at the places that they name.
type Loader interface {
	// End returns the sequence of the last commit that was given or found.
	End() uint64
	// Load stores the next commit, perhaps later. c is not kept.
	Load(ctx context.Context, c *store.Commit) error
	// Flush returns when all that were given are stored.
	Flush(ctx context.Context) error
}

// Until says how far a backup is restored. The zero Until: all of it.
type Until struct {
	// Position: the commit that holds it is the last, whole.
	Position store.Position
	// Time: the log ends before the first commit that was decided later. Nodes'
	// clocks differ; nothing that is restored was decided after it.
	Time time.Time
	// Progress is told now and then how far it is, by the goroutine that called.
	// Default nil.
	Progress func(Progress)
}

// Restored says what a restore has made.
type Restored struct {
	Sequence  uint64         `json:"sequence"`
	Position  store.Position `json:"position"`
	Commits   uint64         `json:"commits"`
	Events    uint64         `json:"events"`
	Streams   int            `json:"streams"`
	Snapshots uint64         `json:"snapshots"`
	// Keys is what was done to the keys, nil if they were left as they are.
	Keys *KeysRestored `json:"keys,omitempty"`
	// Found is how many commits an interrupted restore had stored before.
	Found uint64 `json:"found"`
}

// Restore stores the backup in a namespace: each commit at its sequence, with its
// very bytes, so that positions, hashes and versions are what they were. It goes on
// where an interrupted restore of the same backup stopped. All of the backup is
// verified as it is read, and all of the log, read back, compared with it; then
// come the snapshots and tables. The namespace is complete when Restore has
// returned nil, or a [*KeyConflicts], with which it is as complete as it can be: no
// other try could give a subject both of its keys. Errors: those of [Backup.Check],
// [store.ErrDamaged] names the place in the backup or in what was stored, others are
// those of log and vault.
func (b *Backup) Restore(ctx context.Context, t Target, u Until) (Restored, error) {
	r := &restoring{backup: b, target: t, until: u, walk: newWalk(), found: t.Loader.End()}
	err := r.run(ctx)
	if err != nil {
		err = fmt.Errorf("restore backup %s: %w", b.Manifest().ID, err)
	}
	w := r.walk
	return Restored{
		Sequence: w.sequence, Position: w.position, Commits: w.commits, Events: w.events, Streams: len(w.heads), Snapshots: r.snapshots, Keys: r.keys, Found: r.found,
	}, err
}

// Check reports whether a restore until u has something to restore, so that nothing
// is made for one that has not. Errors: [store.ErrInvalid] for a position after the
// backup's end and for an end before its first commit; others are those of the vault.
func (b *Backup) Check(ctx context.Context, u Until) error {
	if m := b.Manifest(); u.Position > m.Position {
		return &store.InvalidError{What: "position", Value: fmt.Sprint(uint64(u.Position)), Reason: fmt.Sprintf("the backup ends at %d", m.Position)}
	}
	if u.Position == 0 && u.Time.IsZero() {
		return nil
	}
	first, err := b.At(ctx, 1)
	switch {
	case err != nil:
		return fmt.Errorf("read the first commit: %w", err)
	case first == nil:
		return &store.InvalidError{What: "end of the restore", Value: u.end(), Reason: "the backup has no commits: there is nothing to restore"}
	case u.before(first):
		return &store.InvalidError{What: "end of the restore", Value: u.end(), Reason: fmt.Sprintf(
			"the first commit of the backup is later, at position %d of %s: there is nothing to restore", store.PositionOf(first.Sequence, 0), first.Time.UTC().Format(time.RFC3339))}
	}
	return nil
}

// before reports whether c is beyond what is restored.
func (u *Until) before(c *store.Commit) bool {
	return u.Position > 0 && c.Sequence > u.Position.Sequence() || !u.Time.IsZero() && c.Time.After(u.Time)
}

// end names the end for people.
func (u *Until) end() string {
	if u.Time.IsZero() {
		return fmt.Sprintf("position %d", u.Position)
	}
	return u.Time.UTC().Format(time.RFC3339)
}

type restoring struct {
	backup    *Backup
	target    Target
	until     Until
	walk      *walk
	found     uint64
	snapshots uint64
	copy      *KeysCopy // of the keys; nil: they are left as they are
	keys      *KeysRestored
	conflicts *KeyConflicts // of the keys; nil: none
}

func (r *restoring) run(ctx context.Context) error {
	if err := r.backup.Check(ctx, r.until); err != nil {
		return err
	}
	if err := r.openKeys(ctx); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	if err := r.restoreKeys(ctx); err != nil {
		return err
	}
	if err := r.restoreSnapshots(ctx); err != nil {
		return err
	}
	if err := r.restoreTables(ctx); err != nil || r.conflicts == nil {
		return err
	}
	return r.conflicts
}

// load stores what the target does not have yet. What it has is read from the
// backup too, to check it and to know the heads.
func (r *restoring) load(ctx context.Context) error {
	total := r.backup.Manifest().Sequence
	if r.until.Position > 0 {
		total = min(total, r.until.Position.Sequence())
	}
	for c, err := range r.backup.Commits(ctx, 0, 0) {
		if err != nil {
			return err
		}
		if r.until.before(c) {
			break
		}
		if err := r.walk.take(c); err != nil {
			return err
		}
		if c.Sequence > r.found {
			if err := r.target.Loader.Load(ctx, c); err != nil {
				return err
			}
		}
		if r.until.Progress != nil && c.Sequence%feedBatch == 0 {
			r.until.Progress(Progress{Done: c.Sequence, Total: total})
		}
	}
	if r.walk.sequence < r.found {
		return fmt.Errorf("%w: the namespace has %d commits, the restore ends after %d", store.ErrConflict, r.found, r.walk.sequence)
	}
	return r.target.Loader.Flush(ctx)
}

// compare reads the restored log and compares it with what the backup had.
func (r *restoring) compare(ctx context.Context) error {
	again := newWalk()
	if err := follow(ctx, r.target.Log, 0, r.walk.position, again.take); err != nil {
		return fmt.Errorf("read what was stored: %w", err)
	}
	if again.chain != r.walk.chain || again.commits != r.walk.commits {
		return fmt.Errorf("%w: what was stored is not what the backup has: %d commits of %d, running hash %s of %s",
			store.ErrDamaged, again.commits, r.walk.commits, again.chain, r.walk.chain)
	}
	return nil
}

// openKeys opens the copy of the keys, before anything is stored: to find out in the
// end that it is another's would be late.
func (r *restoring) openKeys(ctx context.Context) (err error) {
	m := r.backup.Manifest()
	if r.target.Keys == nil || r.target.KeysFrom == nil || m.Realm == uuid.Nil {
		return nil
	}
	if r.copy, err = OpenKeys(ctx, r.target.KeysFrom, m.Namespace); err != nil {
		return err
	}
	if r.copy.manifest.Realm != m.Realm {
		return &store.InvalidError{What: "realm of the copy of the keys", Value: r.copy.manifest.Realm.String(), Reason: "the backup is of realm " + m.Realm.String()}
	}
	return r.copy.fits(r.target.Keys)
}

// restoreKeys restores the keys as they were copied last, however far the log goes: who
// was forgotten since stays forgotten. Conflicts are told once all the rest is there.
func (r *restoring) restoreKeys(ctx context.Context) error {
	if r.copy == nil {
		return nil
	}
	done, err := r.copy.Restore(ctx, r.target.Keys, r.walk.position)
	r.keys = &done
	if conflicts, both := errors.AsType[*KeyConflicts](err); both {
		r.conflicts = conflicts
		return nil
	}
	return err
}

// restoreSnapshots saves the snapshots that are made of what was restored. A
// snapshot that does not fit the log is left out: it is a cache.
func (r *restoring) restoreSnapshots(ctx context.Context) error {
	if r.target.Snapshots == nil {
		return nil
	}
	m := r.backup.Manifest()
	for v, err := range r.backup.values(ctx, m, m.Snapshots) {
		if err != nil {
			return err
		}
		s, err := store.DecodeSnapshot(v.Data)
		if err != nil {
			return &FileError{File: m.file(m.Snapshots.Name), Reason: err}
		}
		if s.Position > r.walk.position {
			continue
		}
		if err := r.target.Snapshots.Save(ctx, s); err != nil && !errors.Is(err, store.ErrTooLarge) {
			return err
		}
		r.snapshots++
	}
	return nil
}

func (r *restoring) restoreTables(ctx context.Context) error {
	m := r.backup.Manifest()
	for v, err := range r.backup.values(ctx, m, m.Tables) {
		if err != nil {
			return err
		}
		var at tableKey
		if err := json.Unmarshal([]byte(v.Key), &at); err != nil {
			return &FileError{File: m.file(m.Tables.Name), Reason: fmt.Errorf("%w: %w", store.ErrDamaged, err)}
		}
		for _, t := range r.target.Tables {
			if t.Name() != at.Table {
				continue
			}
			if err := t.Restore(ctx, at.Key, v.Data); err != nil {
				return fmt.Errorf("table %s: %w", at.Table, err)
			}
		}
	}
	return nil
}
